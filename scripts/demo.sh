#!/usr/bin/env bash
# `make demo`: train and evaluate; with BASELINES=1 also behaviour cloning, HG-DAgger and
# training without a person, on the same demonstrations, for the report.
set -e
cd "$(dirname "${BASH_SOURCE[0]}")/.."
task=$1 observation=$2 scene=$3 seed=$4 baselines=$5 hardware=${6:-sim}
case "$hardware-$observation-$task" in
  emulated-*) limit=59 ;; # in real time
  *-state-*) limit=4.5 ;;
  *-cameras-reach | *-cameras-lift_cube) limit=9.5 ;;
  *) limit=19.5 ;;
esac
run="${RUN:-$task-$observation-seed$seed-$(date +%Y%m%d-%H%M%S)}"
settings=("hardware:=$hardware" "task:=$task" "observation:=$observation" "scene:=$scene" "seed:=$seed"
  "train_minutes:=${MINUTES:-$limit}")

if [ "$baselines" != 1 ]; then
  exec scripts/hilserl up koch_train "${settings[@]}" "run:=$run"
fi
scripts/hilserl up koch_train "${settings[@]}" "run:=$run"
settings+=("demonstrations:=$run")
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-behaviour_cloning" algorithm:=bc
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-hg_dagger" algorithm:=hg_dagger
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-no_human" intervene:=false
exec scripts/hilserl run hilserl_replay report "runs/$run" \
  --baseline "behaviour_cloning=runs/$run-behaviour_cloning" \
  --baseline "hg_dagger=runs/$run-hg_dagger" \
  --baseline "no_human=runs/$run-no_human"
