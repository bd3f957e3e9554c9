#!/usr/bin/env bash
# Prepares this checkout: system packages where it may install them, and the virtual environment .venv with the package
# and its development tools. Calling it again costs a fraction of a second, unless what it installs has changed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly MESA_NEEDED=24.3 # older software Vulkan drivers lack VK_KHR_external_semaphore_fd, which the renderer requires
readonly STAMP=.venv/.setup-stamp
readonly LOG=.venv/setup.log

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    say "$@"
    exit 1
}

# --- system packages ---------------------------------------------------------------------------------------------

# Runs a command as root; fails where that is not possible without asking.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
    command -v apt-get >/dev/null && { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -y -qq -o Dpkg::Use-Pty=0 "$@" </dev/null >/dev/null
}

has_library() {
    # No `grep -q`: it would close the pipe early, which pipefail takes for a failure.
    { ldconfig -p 2>/dev/null || /sbin/ldconfig -p; } | grep -F "$1 (" >/dev/null
}

# A Vulkan driver of the vendor, one chosen by the user, or a software driver that is new enough.
has_vulkan_driver() {
    local version
    [ -z "${VK_DRIVER_FILES:-}${VK_ICD_FILENAMES:-}" ] || return 0
    ! compgen -G '/usr/share/vulkan/icd.d/nvidia*' >/dev/null || return 0
    ! compgen -G '/etc/vulkan/icd.d/nvidia*' >/dev/null || return 0
    if command -v dpkg-query >/dev/null; then
        version=$(dpkg-query -W -f '${Version}' mesa-vulkan-drivers 2>/dev/null) || return 1
        dpkg --compare-versions "$version" ge "$MESA_NEEDED"
    else
        compgen -G '/usr/share/vulkan/icd.d/lvp*' >/dev/null
    fi
}

find_python() {
    local candidate candidates=(python3.11 python3.12 python3)
    [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
    for candidate in "${candidates[@]}"; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

has_venv() {
    "$1" -c 'import ensurepip, venv' 2>/dev/null
}

# Prints the packages that this system lacks, under their Debian names.
missing_packages() {
    local python
    has_library libvulkan.so.1 || echo libvulkan1          # the renderer's loader
    has_library libGL.so.1 || echo libgl1                  # imported by OpenCV, which ManiSkill imports
    has_library libgthread-2.0.so.0 || echo libglib2.0-0   # likewise
    has_library libX11.so.6 || echo libx11-6               # imported by SAPIEN, also without a screen
    has_vulkan_driver || echo mesa-vulkan-drivers
    python=$(find_python) || python=
    if [ -z "$python" ]; then
        [ -n "${PYTHON:-}" ] || printf '%s\n' python3 python3-venv # a wrong choice is no missing package
    elif ! has_venv "$python"; then
        if [ "$python" = /usr/bin/python3 ]; then echo python3-venv; else echo "$(basename "$python")-venv"; fi
    fi
}

has_program() { command -v "$1" >/dev/null || [ -x "/usr/sbin/$1" ]; }

# Prints the packages that only tests need: a browser for the pages, a terminal for the dashboard, jq for the one-liners,
# SLURM.
missing_test_packages() {
    command -v chromium >/dev/null || command -v google-chrome >/dev/null || echo chromium
    command -v tmux >/dev/null || echo tmux
    command -v jq >/dev/null || echo jq
    # A SLURM cluster of their own; its daemons are in directories that only root searches.
    has_program slurmctld || echo slurm-wlm
    has_program munged || echo munge
    has_program slurmdbd || echo slurmdbd
    has_program mariadbd || echo mariadb-server-core
}

new_enough_mesa_offered() {
    local version
    while read -r version; do
        if dpkg --compare-versions "$version" ge "$MESA_NEEDED"; then return 0; fi
    done < <(apt-cache madison mesa-vulkan-drivers 2>/dev/null | awk -F'|' '{gsub(/ /, "", $2); print $2}')
    return 1
}

# Prints the system's own source entry of release $1, found in the files $3.., with the suite changed to its backports.
# $2 is the format of the files: `sources` (paragraphs of fields) or `list` (one line each).
backports_entry() {
    local release=$1 format=$2
    shift 2
    [ $# -gt 0 ] || return 0
    if [ "$format" = sources ]; then
        awk -v release="$release" '
            BEGIN { RS = ""; FS = "\n" }
            {
                text = ""; fits = 0
                for (i = 1; i <= NF; i++) {
                    line = $i
                    if (line ~ /^#/) continue
                    if (line ~ /^Suites:/) {
                        if ((" " substr(line, 8) " ") ~ ("[ \t]" release "[ \t]")) fits = 1
                        line = "Suites: " release "-backports"
                    }
                    if (line ~ /^Types:/) line = "Types: deb"
                    if (line ~ /^Components:/) line = "Components: main"
                    text = text line "\n"
                }
                if (fits) { printf "%s", text; exit }
            }' "$@"
    else
        awk -v release="$release" '
            $1 == "deb" {
                text = "deb"
                for (i = 2; i <= NF; i++) {
                    if ($i == release) { print text " " release "-backports main"; exit }
                    text = text " " $i
                }
            }' "$@"
    fi
}

# Makes a new enough Mesa installable on a Debian release that has it in its backports only.
add_backports() {
    local release format entry
    release=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
    [ -n "$release" ] || return 1
    shopt -s nullglob
    for format in sources list; do
        local files=(/etc/apt/sources.list.d/*."$format")
        if [ "$format" = list ] && [ -f /etc/apt/sources.list ]; then files+=(/etc/apt/sources.list); fi
        entry=$(backports_entry "$release" "$format" ${files[@]+"${files[@]}"})
        if [ -n "$entry" ]; then
            say "adding the backports of $release, as /etc/apt/sources.list.d/f1rl-backports.$format"
            printf '%s\n' "$entry" | as_root tee "/etc/apt/sources.list.d/f1rl-backports.$format" >/dev/null
            apt update
            return
        fi
    done
    return 1
}

install_packages() {
    local packages=("$@") options=()
    say "installing system packages: ${packages[*]}"
    apt update || say "warning: some package lists could not be updated"
    if [[ " ${packages[*]} " == *" mesa-vulkan-drivers "* ]]; then
        new_enough_mesa_offered || add_backports || true
        # What the driver depends on must come from the same release as the driver.
        options=(-t "$(. /etc/os-release && echo "${VERSION_CODENAME:-}")-backports")
        apt-cache policy | grep -F "n=${options[1]}" >/dev/null || options=()
    fi
    apt install --no-install-recommends ${options[@]+"${options[@]}"} "${packages[@]}" || return 1
}

test_packages() {
    local missing
    mapfile -t missing < <(missing_test_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    if may_install; then
        install_packages "${missing[@]}" || say "warning: installing the packages failed"
        mapfile -t missing < <(missing_test_packages)
        [ ${#missing[@]} -gt 0 ] || return 0
    fi
    say "note: some tests are skipped without ${missing[*]}"
}

system_packages() {
    local missing
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0
    if may_install; then
        install_packages "${missing[@]}" || say "warning: installing the packages failed"
        mapfile -t missing < <(missing_packages)
        [ ${#missing[@]} -gt 0 ] || return 0
    fi
    say "warning: this system lacks ${missing[*]} (Debian names). As root:"
    say "    apt-get install ${missing[*]}"
    if [[ " ${missing[*]} " == *" mesa-vulkan-drivers "* ]]; then
        say "    (mesa-vulkan-drivers $MESA_NEEDED or newer; on Debian 12 from bookworm-backports. Not needed beside a GPU's driver)"
    fi
    say "Without them the simulator may not start; env=toy needs none of it."
}

# --- virtual environment -----------------------------------------------------------------------------------------

fingerprint() {
    cat pyproject.toml scripts/setup.sh | sha256sum | cut -d ' ' -f 1
}

virtual_environment() {
    local python
    if [ "$(cat "$STAMP" 2>/dev/null)" = "$(fingerprint)" ] && .venv/bin/python -c '' 2>/dev/null; then
        return
    fi
    python=$(find_python) || die "Python 3.11 or 3.12 is needed; tried ${PYTHON:-python3.11, python3.12, python3}." \
        "PYTHON=/path/to/python3.11 make setup chooses another"
    has_venv "$python" || die "$python has no venv module; install $(basename "$python")-venv"
    if ! .venv/bin/python -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' 2>/dev/null; then
        say "creating .venv with $python"
        "$python" -m venv --clear .venv
    fi
    say "installing the package and what it needs; a few minutes, details in $LOG"
    if ! .venv/bin/python -m pip install --disable-pip-version-check --editable '.[dev]' >"$LOG" 2>&1; then
        tail -n 20 "$LOG" | cut -c 1-300 >&2
        die "the installation failed; the lines above are the end of $LOG"
    fi
    fingerprint >"$STAMP"
}

system_packages
test_packages
virtual_environment
say "ready: .venv/bin/python -m f1rl --help"
