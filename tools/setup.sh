#!/bin/sh
# Sets up .venv for the Makefile.
#   setup.sh find [PYTHON]          prints the Python 3.11-3.14 to use (only PYTHON if named), or
#                                   nothing
#   setup.sh install PYTHON [test]  makes .venv hold requirements.txt and this package, with "test"
#                                   requirements-test.txt as well; where a lock or the Python changed
#                                   it makes .venv anew, and what was added by hand is gone
set -eu
cd "$(dirname "$0")/.."

find_python() {
    if [ -n "$1" ]; then
        set -- "$1"
    else
        # An environment that is there settles the question.
        set -- .venv/bin/python python3.12 python3.13 python3.11 python3.14 python3 python
    fi
    for candidate in "$@"; do
        # ensurepip: Debian ships Python without what venv needs. _base_executable: not the venv
        # that this one may be, which install may have to remove.
        if "$candidate" -c 'import ensurepip, sys, venv
supported = (3, 11) <= sys.version_info[:2] <= (3, 14)
print(sys._base_executable) if supported else sys.exit(1)' 2>/dev/null; then
            return
        fi
    done
}

# Installs exactly what the named locks pin. uv is faster where it is there; pip does the same. To
# compile every module would take longer than all else; Python does it for those that it imports.
pinned() {
    command -v uv >/dev/null 2>&1 &&
        uv pip install --quiet --python .venv/bin/python --require-hashes "$@" ||
        .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
            --require-hashes "$@"
}

install() {
    python=$1
    test=${2-}
    here=$(pwd)
    # Contents, not times: a fresh checkout has new times and the same files.
    lock="$(cksum <requirements.txt) $("$python" -c 'import sys; print(sys.version_info[:3])') $here"
    package="$(cksum <pyproject.toml) $lock"
    test_lock="$(cksum <requirements-test.txt) $lock"
    fresh=no
    [ "$(cat .venv/.locked 2>/dev/null)" = "$lock" ] || fresh=yes
    # Without a stamp the packages of the checks are only missing; with another some have to go.
    if [ -n "$test" ] && [ -f .venv/.test ] && [ "$(cat .venv/.test)" != "$test_lock" ]; then
        fresh=yes
    fi

    if [ "$fresh" = yes ]; then
        # .making: one that was broken off is ours as well.
        if [ -e .venv ] && ! [ -f .venv/.locked ] && ! [ -f .venv/.making ]; then
            echo "$here/.venv is not from make: move it away, and make sets up its own" >&2
            return 1
        fi
        echo "setting up .venv with $("$python" --version): about a minute, once"
        if [ -e .venv ]; then
            echo "the former .venv goes, with whatever was added to it by hand"
            rm -rf .venv
        fi
        mkdir .venv
        touch .venv/.making
        "$python" -m venv .venv
        pinned -r requirements.txt
        # A first import that builds the font cache writes to stderr, which is an output.
        MPLCONFIGDIR="$here/.venv/matplotlib" .venv/bin/python -c 'import matplotlib.font_manager'
        echo "$lock" >.venv/.locked
        rm .venv/.making
    fi
    if [ "$(cat .venv/.installed 2>/dev/null)" != "$package" ]; then
        # Apart from the lock, since pip wants a hash for everything in one command.
        .venv/bin/python -m pip install --quiet --disable-pip-version-check \
            --no-deps --no-build-isolation -e .
        # A diff of a notebook shows text and code: .gitattributes names this driver.
        if git rev-parse --git-dir >/dev/null 2>&1; then
            git config diff.notebook.textconv "python3 tools/notebook_text.py"
        fi
        echo "$package" >.venv/.installed
    fi
    if [ -n "$test" ] && ! [ -f .venv/.test ]; then
        echo "adding to .venv what the checks need"
        pinned -r requirements.txt -r requirements-test.txt
        echo "$test_lock" >.venv/.test
    fi
}

case ${1-} in
find) find_python "${2-}" ;;
install) install "$2" "${3-}" ;;
*)
    echo "usage: setup.sh find [PYTHON] | install PYTHON [test]" >&2
    exit 2
    ;;
esac
