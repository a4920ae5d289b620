# shellcheck shell=sh
#
# common.sh - what quickstart and check share.  Read with `.`, from the top of
# the tree.

LC_ALL=C
export LC_ALL

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

# The names in lists of contrib/packages.
package_list()
{
	for list; do
		sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "contrib/packages/$list"
	done
}

# missing_packages LIST...: those that are not installed.
missing_packages()
{
	for p in $(package_list "$@"); do
		case $(dpkg-query -W -f='${Status}\n' "$p" 2>/dev/null) in
		*'install ok installed'*) ;;
		*) echo "$p" ;;
		esac
	done
}

# How to become root without being asked anything; nothing when we are root.
as_root()
{
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

can_be_root()
{
	[ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null
}

# Install without starting what is installed, where nobody has said otherwise.
apt_install()
{
	policy=/usr/sbin/policy-rc.d ours=no
	if [ ! -e $policy ]; then
		ours=yes
		printf '#!/bin/sh\nexit 101\n' | as_root tee $policy > /dev/null &&
		    as_root chmod 755 $policy
	fi
	as_root env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
	    apt-get install -y -q --no-install-recommends "$@"
	rc=$?
	[ $ours = no ] || as_root rm -f $policy
	return $rc
}

# need_packages LOG LIST...: install what is missing, or say how and stop.
need_packages()
{
	log=$1
	shift
	command -v dpkg-query > /dev/null 2>&1 || { need_tools; return; }
	# shellcheck disable=SC2046
	set -- $(missing_packages "$@")
	[ $# -gt 0 ] || return 0
	echo "      missing: $*"
	if ! command -v apt-get > /dev/null 2>&1 || ! can_be_root; then
		die "these packages are missing and only root can install them.  Run
    apt-get update && apt-get install --no-install-recommends $*
as root, then this again"
	fi
	echo "      installing them (a minute or so; log: $log)"
	if ! { as_root apt-get update -q && apt_install "$@"; } > "$log" 2>&1; then
		tail -n 15 "$log" >&2
		die "apt-get could not install: $*"
	fi
}

# Not a Debian: only look.
need_tools()
{
	for t in make pkg-config curl ar; do
		command -v $t > /dev/null 2>&1 || die "$t is missing; contrib/packages/build lists what is needed, in Debian's names"
	done
	command -v cc > /dev/null 2>&1 || command -v gcc > /dev/null 2>&1 || die "a C compiler is missing"
	pkg-config --exists libpcre2-8 || die "the PCRE2 headers are missing"
}

# Are the system's own libraries new enough?
system_libraries()
{
	pkg-config --exists 'libssl >= 3.5' 'libngtcp2 >= 1.12' libngtcp2_crypto_ossl \
	    'libnghttp3 >= 1.10' 'libnghttp2 >= 1.61' 'libcares >= 1.34' 2>/dev/null
}

# private_libraries LOG: into deps/.  Nothing that is built now links them, so
# without them the build only says what it lacks.
private_libraries()
{
	if system_libraries; then
		echo "      the system's own are new enough"
	elif contrib/get-deps deps > "$1" 2>&1; then
		sed -n 's/^get-deps: complete: /      /p' "$1"
	else
		tail -n 5 "$1" >&2
		echo "      they cannot be had here (log: $1); going on without them: no module of"
		echo "      this version needs them"
	fi
}
