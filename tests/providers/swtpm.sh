# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2154 # $DIR is run.sh's
#
# Software TPMs (swtpm) on 127.0.0.1, below $DIR. There is no resource manager:
# what a user does not flush stays.

# A TPM of its own: tpm_make NAME. It has the banks sha1 and sha256.
tpm_make() {
	mkdir -m 700 "$DIR/$1" || return
	if ! swtpm_setup --tpm2 --tpmstate "$DIR/$1" --pcr-banks sha1,sha256 >"$DIR/$1.setup" 2>&1; then
		cat "$DIR/$1.setup"
		return 1
	fi
}

# Two free ports one after another: swtpm's control port is always the second. Not of those
# that Linux gives to programs which connect: one could have it while no TPM is there.
tpm_port() {
	python3 - <<-'EOP'
		import random, socket
		while True:
		    with socket.socket() as a, socket.socket() as b:
		        port = random.randrange(10000, 32000)
		        try:
		            a.bind(("127.0.0.1", port))
		            b.bind(("127.0.0.1", port + 1))
		        except OSError:
		            continue
		        print(port)
		        break
	EOP
}

# tpm_start NAME PORT: returns when it listens
tpm_start() {
	swtpm socket --tpm2 --tpmstate "dir=$DIR/$1" --server "type=tcp,port=$2,bindaddr=127.0.0.1" \
		--ctrl "type=tcp,port=$(($2 + 1)),bindaddr=127.0.0.1" \
		--flags not-need-init,startup-clear >"$DIR/$1.log" 2>&1 &
	echo $! >"$DIR/$1.pid"
	tpm_listens "$2" || { cat "$DIR/$1.log"; return 1; }
}

tpm_listens() {
	local i

	for ((i = 0; i < 100; i++)); do
		(: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
		sleep 0.05
	done
	echo "nothing listens at port $1"
	return 1
}

# tpm_stop NAME: also one that stands still
tpm_stop() {
	local pid

	[ -e "$DIR/$1.pid" ] || return 0
	pid=$(cat "$DIR/$1.pid")
	kill -CONT "$pid" 2>/dev/null
	kill "$pid" 2>/dev/null
	while kill -0 "$pid" 2>/dev/null; do sleep 0.02; done
	rm -f "$DIR/$1.pid"
}

# no_tpm PORT MODE: in a TPM's place, something that answers every command
#   rc:0xN     with that code
#   garbage    with bytes that are no answer
#   long       with an answer that says it has 4 GiB
#   relay:PORT:FILE  not at all: passes it on, and writes down what the bus shows
no_tpm() {
	python3 "$(dirname "${BASH_SOURCE[0]}")/no-tpm.py" "$1" "$2" >"$DIR/no-tpm.log" 2>&1 &
	echo $! >"$DIR/no-tpm.pid"
	tpm_listens "$1" || { cat "$DIR/no-tpm.log"; return 1; }
}

# what a TPM still holds: objects, and sessions loaded and saved
tpm_held() {
	local what

	for what in handles-transient handles-loaded-session handles-saved-session; do
		timeout 10 tpm2_getcap -T "swtpm:host=127.0.0.1,port=$1" "$what" || echo "- no answer"
	done
}
