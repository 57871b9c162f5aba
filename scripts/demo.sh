#!/usr/bin/env bash
# `make demo`: train and evaluate; with BASELINES=1 also behaviour cloning, HG-DAgger and
# training without a person, on the same demonstrations, for the report. HG-DAgger and
# training alone get as many training episodes as ours had. With REWARD=classifier the run has
# no privileged state: people show successes and failures first, a classifier learns to tell
# them from the cameras' frames, and judges in the simulator's place.
set -e
cd "$(dirname "${BASH_SOURCE[0]}")/.."
task=$1 observation=$2 scene=$3 seed=$4 baselines=$5 reward=${6:-sim} hardware=${7:-sim}
target=0.95
case "$hardware-$observation-$task" in
  emulated-*) limit=59 ;; # in real time
  *-state-*) limit=4.5 ;;
  *-cameras-reach | *-cameras-lift_cube) limit=9.5 ;;
  *) limit=19.5 target=0.9 ;;
esac
[ "$reward" = classifier ] && [ "$limit" = 9.5 ] && limit=14.5
run="${RUN:-$task-$observation-seed$seed-$(date +%Y%m%d-%H%M%S)}"
case "$run" in */*) ;; *) run="runs/$run" ;; esac
settings=("hardware:=$hardware" "task:=$task" "observation:=$observation" "scene:=$scene"
  "seed:=$seed" "train_minutes:=${MINUTES:-$limit}" "target_success:=$target")

show() { # people show successes and failures, and a classifier learns to tell them
  local file=$run-classifier.safetensors shown
  shown=("hardware:=$hardware" "task:=$task" "observation:=$observation" "scene:=$scene"
    reward:=operator)
  scripts/hilserl up koch_record "${shown[@]}" "seed:=$seed" "run:=$run-demonstrations"
  scripts/hilserl up koch_record "${shown[@]}" "seed:=$((seed + 1000))" "run:=$run-shown" \
    demos:=40 failures:=0.6 region:=whole
  scripts/hilserl run hilserl_reward label "$run-demonstrations" "$run-shown" --outcomes
  scripts/hilserl run hilserl_reward train "$run-demonstrations" "$run-shown" --out "$file"
  settings+=("demonstrations:=$run-demonstrations" reward:=classifier "classifier:=$file")
}

if [ "$reward" = classifier ]; then
  if [ "$observation" != cameras ]; then
    echo "demo: REWARD=classifier judges what cameras see: leave OBS=cameras" >&2
    exit 1
  fi
  [ -f "$run/report.json" ] || show
fi
if [ "$baselines" != 1 ]; then
  exec scripts/hilserl up koch_train "${settings[@]}" "run:=$run"
fi
[ -f "$run/report.json" ] || scripts/hilserl up koch_train "${settings[@]}" "run:=$run"
episodes=$(.venv/bin/python -c \
  'import json, sys; print(json.load(open(sys.argv[1]))["training"]["episodes"])' "$run/report.json")
[ "$reward" = classifier ] || settings+=("demonstrations:=$run")
settings+=("train_episodes:=$episodes")
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-behaviour_cloning" algorithm:=bc
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-hg_dagger" algorithm:=hg_dagger
scripts/hilserl up koch_train "${settings[@]}" "run:=$run-no_human" intervene:=false
exec scripts/hilserl run hilserl_replay report "$run" \
  --baseline "behaviour_cloning=$run-behaviour_cloning" \
  --baseline "hg_dagger=$run-hg_dagger" \
  --baseline "no_human=$run-no_human"
