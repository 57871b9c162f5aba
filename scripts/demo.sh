#!/usr/bin/env bash
# `make demo`: train and evaluate; with BASELINES=1 also behaviour cloning, HG-DAgger and
# training without a person, on the same demonstrations, for the report. HG-DAgger and
# training alone get as many training episodes as ours had.
set -e
cd "$(dirname "${BASH_SOURCE[0]}")/.."
task=$1 observation=$2 scene=$3 seed=$4 baselines=$5
target=0.95
case "$observation-$task" in
  state-*) limit=4.5 ;;
  cameras-reach | cameras-lift_cube) limit=9.5 ;;
  *) limit=19.5 target=0.9 ;;
esac
run="${RUN:-$task-$observation-seed$seed-$(date +%Y%m%d-%H%M%S)}"
settings=("task:=$task" "observation:=$observation" "scene:=$scene" "seed:=$seed"
  "train_minutes:=${MINUTES:-$limit}" "target_success:=$target")

case "$run" in */*) ;; *) run="runs/$run" ;; esac

if [ "$baselines" != 1 ]; then
  exec scripts/hilserl up koch_train "${settings[@]}" "run:=$run"
fi
[ -f "$run/report.json" ] || scripts/hilserl up koch_train "${settings[@]}" "run:=$run"
episodes=$(.venv/bin/python -c \
  'import json, sys; print(json.load(open(sys.argv[1]))["training"]["episodes"])' "$run/report.json")
settings+=("demonstrations:=$run" "train_episodes:=$episodes")
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-behaviour_cloning" algorithm:=bc
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-hg_dagger" algorithm:=hg_dagger
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-no_human" intervene:=false
exec scripts/hilserl run hilserl_replay report "$run" \
  --baseline "behaviour_cloning=$run-behaviour_cloning" \
  --baseline "hg_dagger=$run-hg_dagger" \
  --baseline "no_human=$run-no_human"
