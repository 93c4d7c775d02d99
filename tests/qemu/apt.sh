# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Where this machine's own apt gets Debian, and how, for a private apt: no name
# of a package host stands in this tree.

# debian_sources SUITE: sources.list lines, the machine's own with another suite
debian_sources() {
	local sources

	. /etc/os-release
	# shellcheck disable=SC2016 # apt's variables
	sources=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' \
		'Created-By: Packages' 'Origin: Debian' | grep " $VERSION_CODENAME" | sort -u)
	# unstable has neither updates nor security
	[ "$1" != sid ] || sources=$(grep " $VERSION_CODENAME " <<<"$sources")
	[ -n "$sources" ] || { echo "apt knows no Debian sources: run apt-get update" >&2; return 1; }
	printf '%s\n' "$sources" |
		sed "s,^,deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ,; s, $VERSION_CODENAME, $1,"
}

# aptopts: mmdebstrap's options for the same proxy, certificates and patience
aptopts=()
while read -r line; do
	aptopts+=("--aptopt=$line")
done < <(apt-config dump | grep -E '^Acquire::((http|https|ftp)::|Check-|AllowInsecure|Retries)' | grep -v '"";$')
