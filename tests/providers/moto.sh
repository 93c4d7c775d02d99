#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# moto, a mock of AWS that is not ours, on 127.0.0.1, with signatures checked: the
# provider's peer for the wire protocol. Debian's newest python3-moto, unpacked in
# the cache once (bookworm has none), on bookworm's python.
#
#   moto.sh start FOLDER [tls]    makes FOLDER/env, for a shell to read: AWS_* of a user
#                                 who may everything, AWS_ENDPOINT_URL_KMS and _STS, with
#                                 tls AWS_CA_BUNDLE. FOLDER/pid is the server's
#   moto.sh stop FOLDER
#   moto.sh fetch                 prints where moto is
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
cache=${KCACHE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dm-kcache}

die() { echo "moto: $*" >&2; exit 1; }

# An apt of its own, which knows sid and installs nothing
fetch() {
	local work folder

	mkdir -p "$cache"
	exec 8>"$cache/.moto.lock"
	flock 8
	folder=$(find "$cache" -maxdepth 1 -name 'moto-*' | sort -V | tail -n 1)
	if [ -z "$folder" ]; then
		# shellcheck source=../qemu/apt.sh
		. "$here/../qemu/apt.sh"
		work=$(mktemp -d "$cache/.moto.XXXXXX")
		# shellcheck disable=SC2064 # the folder of now
		trap "rm -rf '$work'" EXIT
		mkdir -p "$work/apt/lists/partial" "$work/apt/archives/partial"
		touch "$work/apt/status"
		debian_sources sid >"$work/apt/sources.list"
		printf '%s "%s";\n' Dir::Etc::SourceList "$work/apt/sources.list" Dir::Etc::SourceParts /dev/null \
			Dir::State "$work/apt" Dir::State::status "$work/apt/status" Dir::Cache "$work/apt" \
			APT::Sandbox::User root Acquire::Languages none >"$work/apt.conf"
		(cd "$work" && APT_CONFIG=$work/apt.conf apt-get -qq update &&
			APT_CONFIG=$work/apt.conf apt-get -qq download python3-moto) >"$work/log" 2>&1 ||
			{ cat "$work/log" >&2; die "apt did not get python3-moto of sid, see above"; }
		dpkg-deb -x "$work"/python3-moto_*.deb "$work/root"
		folder=$cache/moto-$(dpkg-deb -f "$work"/python3-moto_*.deb Version)
		mv "$work/root" "$folder"
	fi
	exec 8>&-
	echo "$folder/usr/lib/python3/dist-packages"
}

# listening PORT: is somebody there?
listening() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
	local folder=$1 lib url user=kcache i
	local -a tls=() curl=(curl -sS -o /dev/null --fail)

	lib=$(fetch)
	mkdir -p "$folder"
	folder=$(cd "$folder" && pwd)
	if [ "${2:-}" = tls ]; then
		[ -e "$folder/ca.pem" ] || /usr/bin/python3 "$here/certs.py" "$folder"
		tls=(-s -c "$folder/good.crt" -k "$folder/good.key")
		curl+=(--cacert "$folder/ca.pem")
	fi
	port=$(/usr/bin/python3 -c 'import socket
s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	url=http${tls:+s}://127.0.0.1:$port
	PYTHONPATH=$lib setsid /usr/bin/python3 -c 'import sys
sys.argv = ["moto_server"] + sys.argv[1:]
from moto.server import main
main()' -H 127.0.0.1 -p "$port" ${tls[@]+"${tls[@]}"} >"$folder/log" 2>&1 </dev/null &
	echo $! >"$folder/pid"
	for ((i = 0; i < 300; i++)); do
		! listening "$port" || break
		kill -0 "$(cat "$folder/pid")" 2>/dev/null || break
		sleep 0.1
	done
	listening "$port" || { cat "$folder/log" >&2; die "the server did not start, see above"; }

	# a user, before signatures are looked at
	aws() {
		env -i PATH="$PATH" HOME="$folder" AWS_ACCESS_KEY_ID=x AWS_SECRET_ACCESS_KEY=x \
			AWS_DEFAULT_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true \
			${tls[@]+AWS_CA_BUNDLE="$folder/ca.pem"} \
			/usr/bin/aws --endpoint-url "$url" --output text "$@"
	}
	aws iam create-user --user-name $user >/dev/null
	aws iam put-user-policy --user-name $user --policy-name all --policy-document \
		'{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}'
	read -r id secret < <(aws iam create-access-key --user-name $user \
		--query 'AccessKey.[AccessKeyId,SecretAccessKey]')
	"${curl[@]}" -X POST -H 'Content-Type: text/plain' -d 0 "$url/moto-api/reset-auth"
	umask 077
	{
		echo "export AWS_ACCESS_KEY_ID=$id"
		echo "export AWS_SECRET_ACCESS_KEY=$secret"
		echo "export AWS_DEFAULT_REGION=eu-central-1 AWS_EC2_METADATA_DISABLED=true"
		echo "export AWS_ENDPOINT_URL_KMS=$url AWS_ENDPOINT_URL_STS=$url"
		[ ${#tls[@]} -eq 0 ] || echo "export AWS_CA_BUNDLE=$folder/ca.pem"
	} >"$folder/env"
}

stop() {
	local pid

	pid=$(cat "$1/pid" 2>/dev/null) || return 0
	kill "$pid" 2>/dev/null || true
	while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
	rm -f "$1/pid" "$1/env"
}

case ${1:-} in
start) start "${@:2}" ;;
stop) stop "$2" ;;
fetch) fetch ;;
*) die "usage: moto.sh start FOLDER [tls] | stop FOLDER | fetch" ;;
esac
