# SPDX-License-Identifier: GPL-2.0-or-later
# shellcheck shell=bash disable=SC2034,SC2154 # run.sh reads and sets them
# The keystore of this host. It has no service that could be down: its database is locked
# by somebody else ("slow"), or no database ("garbage").

backend_up() {
	KEY=$("$tools/kcache" -q key create --external) && KEY2=$("$tools/kcache" key create) || return
	head -c 32 /dev/urandom >"$DIR/material"
	"$tools/kcache" -q key import "$KEY" "$DIR/material" || return
	GONE=local:11111111-2222-4333-8444-555555555555
	cp "$DIR/state/keystore.key" "$DIR/keystore.key"
}

backend_down() {
	[ ! -e "$DIR/locker" ] || kill "$(cat "$DIR/locker")" 2>/dev/null
}

# holds the database's write lock and its exclusive one until it is killed
lock_database() {
	python3 - "$DIR/state/keystore.db" "$DIR/locked" <<-'EOF' &
		import sqlite3, sys, time
		db = sqlite3.connect(sys.argv[1], isolation_level=None)
		db.execute("PRAGMA locking_mode = EXCLUSIVE")
		db.execute("BEGIN EXCLUSIVE")
		open(sys.argv[2], "w").close()
		time.sleep(600)
	EOF
	echo $! >"$DIR/locker"
	while [ ! -e "$DIR/locked" ]; do sleep 0.05; done
}

backend_do() {
	case $1 in
	disable | enable | schedule-deletion | cancel-deletion)
		"$tools/kcache" key "$1" "$2" >/dev/null
		;;
	lose-material)
		"$tools/kcache" key forget "$2" >/dev/null
		;;
	import-material)
		"$tools/kcache" key import "$2" "$DIR/material" >/dev/null
		;;
	deny | allow)
		effect=Deny
		[ "$1" = deny ] || effect=Allow
		"$tools/kcache" key policy "$2" - >/dev/null <<-EOF
			{ "Statement": [ { "Effect": "Allow", "Principal": "*", "Action": "kms:*" },
				{ "Effect": "$effect", "Principal": "*", "Action": [ "kms:Decrypt", "kms:ReEncryptFrom" ] } ] }
		EOF
		;;
	slow)
		lock_database
		;;
	garbage)
		head -c 32 /dev/urandom >"$DIR/state/keystore.key"
		;;
	well)
		if [ -e "$DIR/locker" ]; then
			kill "$(cat "$DIR/locker")"
			rm -f "$DIR/locker" "$DIR/locked"
		fi
		cp "$DIR/keystore.key" "$DIR/state/keystore.key"
		;;
	*)
		return 77
		;;
	esac
}
