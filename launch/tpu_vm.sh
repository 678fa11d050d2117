#!/usr/bin/env bash
# Trains on a Cloud TPU slice:
#
#     launch/tpu_vm.sh --name=NAME --zone=ZONE --type=TYPE [options] -- \
#         python -m jaxstyle.main --config=configs/anime.py --workdir=runs/anime
#
# Queues for the slice, copies this checkout to it, installs, runs the command on all workers,
# fetches its --workdir (relative, below the checkout), and deletes the slice. After Ctrl-C, which
# saves first, or a failure, the slice stays (and costs): the same command again goes on there.
#
#   --name=NAME           of the slice, yours to choose
#   --zone=us-east1-d     where, as your quota says
#   --type=v6e-8          what: v6e-16, v5litepod-8, v5p-8, v4-8 ...
#   --runtime_version=V   the image of its machines (that of the type, for JAX)
#   --nfs=HOST:/EXPORT    is mounted on the folder above the workdir, and outlives the slice
#   --spot                cheaper, may be preempted; then it asks for another, until the run is
#                         finished. Needs --nfs: what is only on a preempted slice is lost
#   --keep                do not delete the slice in the end
#   --dry_run             print the commands, no more
#
# The project is that of `gcloud config`. Content and style must be in the checkout (not below
# runs/), on the NFS, or scenes.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
name='' zone='' type='' runtime_version='' nfs='' spot='' keep='' dry_run=''
scratch='' costs=''

refuse() {
    echo "error: $*" >&2
    exit 1
}

# Writes words so that a shell reads them as they are.
quoted() {
    local word separator=''
    for word in "$@"; do
        printf '%s' "$separator"
        if [[ $word =~ ^[A-Za-z0-9_./:=,@%+-]+$ ]]; then
            printf '%s' "$word"
        else
            printf "'%s'" "$(printf '%s' "$word" | sed "s/'/'\\\\''/g")"
        fi
        separator=' '
    done
}

# Runs a command, or tells it in a dry run.
run() {
    if [[ $dry_run ]]; then
        quoted "$@"
        echo
    else
        "$@"
    fi
}

on_all_workers() {
    run gcloud compute tpus tpu-vm ssh "$name" "--zone=$zone" --worker=all "--command=$1"
}

# Of JAX's runtimes, which Google lists by type.
runtime_of() {
    case "$1" in
    v6e-*) echo v2-alpha-tpuv6e ;;
    v5litepod-*) echo v2-alpha-tpuv5-lite ;;
    v5p-*) echo v2-alpha-tpuv5 ;;
    v2-* | v3-* | v4-*) echo tpu-ubuntu2204-base ;;
    *) refuse "no runtime is known for --type=$1; give --runtime_version" ;;
    esac
}

# ACTIVE, WAITING_FOR_RESOURCES, SUSPENDED (preempted) ...; nothing where there is no such slice.
state() {
    gcloud compute tpus queued-resources describe "$name" "--zone=$zone" \
        '--format=value(state.state)' 2>/dev/null || true
}

create() {
    if [[ $dry_run || ! $(state) ]]; then
        run gcloud compute tpus queued-resources create "$name" "--node-id=$name" "--zone=$zone" \
            "--accelerator-type=$type" "--runtime-version=$runtime_version" \
            ${spot:+--spot}
    fi
    [[ ! $dry_run ]] || return 0
    costs=yes
    local now told=''
    while now=$(state) && [[ $now != ACTIVE ]]; do
        case "$now" in
        '' | FAILED | SUSPEND* | DELETING)
            refuse "$name is ${now:-gone}; see: gcloud compute tpus queued-resources describe" \
                "$name --zone=$zone"
            ;;
        esac
        [[ $now == "$told" ]] || echo "$name: $now"
        told=$now
        sleep 20
    done
}

delete() {
    run gcloud compute tpus queued-resources delete "$name" "--zone=$zone" --force --quiet
    costs=''
}

# shellcheck disable=SC2317 # it is reached, by the trap
leave() {
    [[ $dry_run || ! $scratch ]] || rm -rf "$scratch"
    if [[ $costs ]]; then
        echo "$name is kept, and costs: the same command goes on there; to delete it:" >&2
        dry_run=yes delete >&2
    fi
}
trap leave EXIT

install() {
    run tar -czf "$scratch/jaxstyle.tgz" -C "$root" \
        --exclude=./.git --exclude=./.venv --exclude=./runs .
    local archives=("$scratch/jaxstyle.tgz")
    local unpack='mkdir -p jaxstyle && tar -xzf jaxstyle.tgz -C jaxstyle'
    if [[ $nfs ]]; then
        local above=jaxstyle/${workdir%/*}
        unpack+=" && sudo apt-get install --yes --quiet nfs-common && mkdir -p $above"
        unpack+=" && { mountpoint -q $above || sudo mount -t nfs $nfs $above; }"
        unpack+=" && sudo install -d -o \"\$USER\" jaxstyle/$workdir"
    elif [[ -d $root/$workdir ]]; then
        # What an earlier slice has trained; a slice that was kept knows better.
        run tar -czf "$scratch/workdir.tgz" -C "$root" "$workdir"
        archives+=("$scratch/workdir.tgz")
        unpack+=" && { test -e jaxstyle/$workdir || tar -xzf workdir.tgz -C jaxstyle; }"
    fi
    run gcloud compute tpus tpu-vm scp "${archives[@]}" "$name:" "--zone=$zone" --worker=all
    on_all_workers "$unpack"
    # The machines have an older Python.
    local python="export PATH=\"\$PATH:\$HOME/.local/bin\" && { command -v python3.12 || {"
    python+=' python3 -m pip install --user --quiet uv && uv python install 3.12; }; }'
    on_all_workers "cd jaxstyle && $python && PYTHON=\$(command -v python3.12 ||\
 uv python find 3.12) JAXSTYLE_EXTRAS=train,tpu launch/local.sh true"
}

train() {
    # One that lost its connection would still hold the TPU.
    local end_old="if kill -TERM \"\$(cat train.pid)\" 2>/dev/null; then"
    end_old+=" while kill -0 \"\$(cat train.pid)\" 2>/dev/null; do sleep 1; done; fi"
    local start
    start="echo \$\$ >train.pid; cd jaxstyle && exec launch/local.sh $(quoted "$@")"
    on_all_workers "$end_old; $start"
}

fetch() {
    run mkdir -p "$root/${workdir%/*}"
    run gcloud compute tpus tpu-vm scp --recurse "$name:jaxstyle/$workdir" "$root/${workdir%/*}/" \
        "--zone=$zone" --worker=0
}

while [[ $# -gt 0 && $1 != -- ]]; do
    case "$1" in
    --name=*) name=${1#*=} ;;
    --zone=*) zone=${1#*=} ;;
    --type=*) type=${1#*=} ;;
    --runtime_version=*) runtime_version=${1#*=} ;;
    --nfs=*) nfs=${1#*=} ;;
    --spot) spot=yes ;;
    --keep) keep=yes ;;
    --dry_run) dry_run=yes ;;
    --help)
        sed -n '2,23s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit
        ;;
    *) refuse "unknown option $1; --help tells them all" ;;
    esac
    shift
done
[[ $# -gt 1 ]] || refuse "no command to run: give one after --"
shift
workdir=''
for word in "$@"; do
    [[ $word != --workdir=* ]] || workdir=${word#*=}
done
[[ $name && $zone && $type ]] || refuse "--name, --zone and --type are needed; --help tells more"
[[ $workdir =~ ^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)+$ ]] ||
    refuse "the command needs --workdir=runs/NAME: relative, of letters, digits, '.', '_' and '-'"
[[ ! $nfs || $nfs =~ ^[A-Za-z0-9_.-]+:/[A-Za-z0-9_./-]*$ ]] || refuse "--nfs is not HOST:/EXPORT"
[[ ! $spot || $nfs ]] || refuse "--spot needs --nfs: what is only on a preempted slice is lost"
[[ $runtime_version ]] || runtime_version=$(runtime_of "$type")
[[ $dry_run ]] || command -v gcloud >/dev/null ||
    refuse "there is no gcloud here; install Google Cloud's CLI, or try --dry_run"

scratch=/tmp
[[ $dry_run ]] || scratch=$(mktemp -d)

while true; do
    create
    install

    # In a group of its own, so that Ctrl-C does not reach gcloud but this script, which has the run
    # save while gcloud shows what it says.
    stopping=''
    trap 'stopping=yes; on_all_workers "kill -TERM \$(cat train.pid)"' INT TERM
    set -m
    train "$@" </dev/null &
    set +m
    wait $! && status=0 || status=$?
    if [[ $stopping ]]; then
        wait $! && status=0 || status=$?
    fi
    trap - INT TERM

    if [[ $status -ne 0 && ! $stopping && $spot ]]; then
        # The news may come later than the loss.
        sleep 20
        if [[ $(state) != ACTIVE ]]; then
            echo "$name was preempted: asking for another"
            delete
            continue
        fi
    fi
    break
done

fetch
if [[ $status -eq 0 && ! $keep ]]; then
    delete
fi
exit "$status"
