#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# The chain of the audit log: every way to tamper with it is found, what power cuts and
# rotation leave is not taken for that, heads go to their anchor, and queries.
. "$(dirname "$0")/lib-cli.sh"

log=$work/audit.jsonl heads=$work/heads conf=$work/kcache.conf
with_anchor() { sed -i '/^audit_anchor/d' "$conf"; [ -z "${1:-}" ] || echo "audit_anchor = $1" >>"$conf"; }
# one event each
events() { for _ in $(seq "$1"); do kcache -q key grants local:alias/kcache >/dev/null || return; done; }
lines() { same "$(grep -c . "$1")" "$2"; }
verify() { kcache audit verify "$@"; }
# tamper SED-SCRIPT or COMMAND on a copy of the log: $bad
bad=$work/bad.jsonl
tamper() { cp "$log" "$bad" && "$@" "$bad"; }
# chain_anew FILE: what somebody does who knows how the log is written
chain_anew() {
	/usr/bin/python3 - "$1" <<'END'
import hashlib, json, re, sys
before, out = "0" * 64, []
for seq, line in enumerate(open(sys.argv[1]), 1):
    body = re.sub(r'(,"previous":"\w+")?,"seq":\d+,"chain":"\w+"\}\n$', "", line)
    body += (',"previous":"%s"' % before if seq == 1 else "") + ',"seq":%d' % seq
    before = hashlib.sha256((before + "\n" + body + "}\n").encode()).hexdigest()
    out.append('%s,"chain":"%s"}\n' % (body, before))
open(sys.argv[1], "w").write("".join(out))
END
}
finding() { json "$work/json" "[(f['finding'], f['line']) for f in j['findings']] == [$1]"; }
# found SENTENCE FINDINGS: on $bad, without an anchor
found() {
	check "$1" expect_exit 8 verify "$bad" --anchor "$work/none"
	verify --json "$bad" --anchor "$work/none" >"$work/json" 2>/dev/null
	check "and is named, with its line" finding "$2"
}
: >"$work/none"

# --- the chain as it is documented, computed by others --------------------------------

with_anchor "$heads"
check "a volume is made, with an anchor for its events" kcache -q create "$(file vol 20M)"
events 6
check "every line has its place" lines "$log" 10
check "its first line follows nothing" grep -q '^{.*,"previous":"0\{64\}","seq":1,"chain":"[0-9a-f]\{64\}"}$' <(head -n 1 "$log")
cp "$log" "$bad"
chain_anew "$bad"
check "the chain is what its description says" cmp "$log" "$bad"
printf '%s\n%s\n' "$(sed -n '4s/.*"chain":"\(.*\)"}/\1/p' "$log")" "$(sed -n '5s/,"chain":"[0-9a-f]*"}$/}/p' "$log")" >"$work/fifth"
check "which sha256sum can follow" same "$(sha256sum <"$work/fifth" | cut -d' ' -f1)" "$(sed -n '5s/.*"chain":"\(.*\)"}/\1/p' "$log")"
check "it holds" expect_exit 0 verify
check "up to its last line, which is anchored" said "^holds up to number 10, anchored $(tail -n 1 "$heads" | cut -d' ' -f3)"
check "without an anchor it holds" expect_exit 0 verify --anchor "$work/none"
check "and what that does not prove is said" said 'an end that was cut off, or a log that was written anew, is not seen'
verify --json >"$work/json"
check "as JSON too" json "$work/json" 'j["version"] == 1 and j["holds"] and j["proven"] == "10" and j["findings"] == [] and j["files"][0]["last"] == "10" and j["anchors"][0]["heads"] == "10"'
check "each head is in the anchor" same "$(cut -d' ' -f2 "$heads")" "$(sed 's/.*"chain":"\(.*\)"}$/\1/' "$log")"

# --- tampering ------------------------------------------------------------------------

tamper sed -i 4d
found "a removed line is found" "('removed', '4')"
tamper sed -i 4,6d
found "so are three" "('removed', '4')"
tamper sed -i '1d'
found "and the first one" "('beginning-missing', '1')"
tamper sed -i '5s/succeeded/failed/'
found "a changed line is found" "('changed', '5')"
tamper sed -i '5s/"chain":"./"chain":"x/'
found "a damaged chain value is found" "('unchained', '5'), ('removed', '6')"
tamper sed -i '5s/"seq":5/"seq":6/'
found "a changed number is found" "('removed', '5'), ('reordered', '6')"
tamper sed -i '4{h;d};5{G}'
found "two lines the other way round are found" "('removed', '4'), ('reordered', '5'), ('removed', '6')"
tamper sed -i '4{p}'
found "a line twice is found" "('reordered', '5')"
tamper sed -i '4a {"time":"2026-01-01T00:00:00.000Z","event":"nothing"}'
found "a line without a place is found" "('unchained', '5')"
tamper sed -i '1s/"previous":"0/"previous":"1/'
found "a first line that follows another one is found" "('changed', '1')"
tamper sed -i "\$d"
check "a cut-off end is found against the anchor" expect_exit 8 verify "$bad"
check "which says up to where it was there" said "$bad: the log ends with number 9, but $heads has heads up to 10, of 20"
check "in one line, with the next step" said '^kcache: the audit log does not hold: .*; compare it with a copy'
verify --json "$bad" >"$work/json" 2>/dev/null
check "and is named" finding "('cut-off', '0')"
: >"$bad"
check "an empty log is found" expect_exit 8 verify "$bad"
tamper sed -i 3d
chain_anew "$bad"
check "a log that was written anew holds by itself" expect_exit 0 verify "$bad" --anchor "$work/none"
check "but not against the anchor" expect_exit 8 verify "$bad"
check "which says from where on" said "$bad:3: $heads has another line of number 3"
check "a log that is not there is exit 4" expect_exit 4 verify "$work/nothing"
check "and a folder too" expect_exit 4 verify "$work"

# --- the anchor -----------------------------------------------------------------------

sed '3,$d' "$heads" >"$work/old"
check "lines after the last anchored one are not proven" expect_exit 0 verify --anchor "$work/old"
check "and that is said" said '^holds up to number 2, anchored .*; the 8 lines after it are chained, but not anchored'
sed '2s/^2 ./2 x/' "$heads" >"$work/damaged"
check "a damaged anchor is exit 8" expect_exit 8 verify --anchor "$work/damaged"
check "with its line" said "line 2 of the anchor $work/damaged is damaged"
head -c -40 "$heads" >"$work/half"
check "a half line at its end is not" expect_exit 0 verify --anchor "$work/half"
check "but counted" said "$work/half: 9 heads, numbers 1 to 9, 1 incomplete lines"
sed '5s/ ........../ 0123456789/' "$heads" >"$work/other"
check "a head that the log has not is found" expect_exit 8 verify --anchor "$work/other"
check "where it is" said "$log:5: $work/other has another line of number 5"
check "heads before --since are not looked at" expect_exit 0 verify --anchor "$work/other" --since "$(sed -n 6p "$heads" | cut -d' ' -f3)"
check "an anchor that is not there is exit 4" expect_exit 4 verify --anchor "$work/nothing"

printf '11 abc' >>"$heads"
events 1
check "the anchor's half line is closed before the next" same "$(tail -n 2 "$heads" | cut -c1-6 | paste -sd,)" "11 abc,$(tail -n 1 "$heads" | cut -c1-6)"
check "and the log holds" verify
before=$(grep -c . "$heads")
chmod 620 "$heads"
check "an anchor that others may write gets no head" expect_exit 0 kcache key grants local:alias/kcache
check "but is a warning" said "warning: the audit log's head was not anchored: the audit_anchor $heads is not a file that only uid"
check "and an event" grep -q '"event":"anchorAudit","result":"failed","cause":"the audit_anchor' <(tail -n 1 "$log")
check "the anchor is as it was" lines "$heads" "$before"
chmod 600 "$heads"
events 1
check "the next head proves the lines that were not anchored" expect_exit 0 verify
check "up to it" said "^holds up to number $(grep -c . "$log"), anchored"

cat >"$work/take" <<END
#!/bin/sh
{ cat; env; echo "args \$*"; ls /proc/self/fd | paste -sd' '; } >>$work/taken
[ ! -e $work/hang ] || { echo \$\$ >$work/pid; exec sleep 60; }
[ ! -e $work/fail ] || exit 3
END
chmod 700 "$work/take"
with_anchor "|$work/take one two"
SECRET=1 events 1
check "a command is handed the head" same "$(head -n 1 "$work/taken" | cut -d' ' -f1,2)" "$(tail -n 1 "$log" | sed 's/.*"seq":\([0-9]*\),"chain":"\(.*\)"}$/\1 \2/')"
check "with its arguments" grep -qx 'args one two' "$work/taken"
check "and nothing of our environment" not grep -q 'SECRET\|KCACHE\|HOME' "$work/taken"
check "nor an open file" same "$(tail -n 1 "$work/taken")" "0 1 2 3"
grep -E '^[0-9]+ [0-9a-f]{64} ' "$work/taken" >"$work/kept"
check "the log holds against what it kept" expect_exit 0 verify --anchor "$work/kept"
check "up to there" said "^holds up to number $(grep -c . "$log"),"
check "which cannot be asked for, and that is said" bash -c "'$tools/kcache' audit verify 2>&1 | grep -q 'audit_anchor is a command'"
touch "$work/fail"
check "one that fails is a warning" expect_exit 0 kcache key grants local:alias/kcache
check "with its exit code" said "warning: .*audit_anchor's $work/take ended with exit code 3"
rm "$work/fail"
touch "$work/hang"
start=$(date +%s)
check "one that hangs too" expect_exit 0 kcache key grants local:alias/kcache
check "after five seconds" said "$work/take took longer than 5 seconds"
check "a command with several events waits for it once" expect_exit 0 kcache key describe local:alias/kcache
check "and tells of each" same "$(grep -c 'was not anchored' <<<"$(cat "$_said")")" 3
check "and no more" test $(($(date +%s) - start)) -le 20
rm "$work/hang"
check "nothing of it runs on" not kill -0 "$(cat "$work/pid")"
chmod 722 "$work/take"
check "a command that others can change is not run" expect_exit 0 kcache key grants local:alias/kcache
check "and that is a warning" said "$work/take can be changed by others"
for value in heads '|take' '|/bin/sh -c "x"' "|$work/take; true" '|'; do
	with_anchor "$value"
	check "audit_anchor = $value is refused" expect_exit 1 kcache audit list
	check "with a reason" said 'audit_anchor is ".*", not an absolute path'
done
with_anchor "$heads"
check "and the log holds" verify

# --- what is no tampering -------------------------------------------------------------

next=$(($(grep -c . "$log") + 1))
mv "$log" "$log.1"
events 3
check "after rotation the chain goes on" grep -q "\"previous\":\"[0-9a-f]*\",\"seq\":$next," <(head -n 1 "$log")
check "the old file and the new one hold" expect_exit 0 verify "$log.1" "$log"
check "so does the new one by itself" expect_exit 0 verify
check "for the heads of its lines" said "$heads: .* of lines before these files"
check "the wrong way round they do not" expect_exit 8 verify "$log" "$log.1"
tamper sed -i 1d
check "a first line that is missing after rotation is found" expect_exit 8 verify "$log.1" "$bad"
head -n -1 "$log.1" >"$work/short"
check "the old one's last line too" expect_exit 8 verify "$work/short" "$log"
: >"$log"
events 1
check "a log that was cut to nothing goes on where it was" expect_exit 8 verify "$log.1" "$log"
check "which shows what is missing" said "$log:1: numbers .* are missing before it"
cat "$log.1" >"$log" && head -n 12 "$log.1" >"$log"
events 1
check "a log whose end was cut off before the next event too, without an anchor" expect_exit 8 verify --anchor "$work/none"
check "at that line" said "^$log:13: numbers 13 to .* are missing before it"

rm -f "$log" "$log".* "$heads"
events 2
printf '{"time":"2026-11-25T0' >>"$log"
events 2
check "a half line is closed, and is no tampering" expect_exit 0 verify
check "but counted" said "$log: 5 lines, numbers 1 to 4, 1 incomplete"
check "and a warning" said 'warning: 1 incomplete lines, as a power cut leaves them'
truncate -s -1 "$log"
events 1
check "a line that lacks its line feed only is whole" expect_exit 0 verify
check "and none is lost" said 'numbers 1 to 5, 1 incomplete'
cp "$log.head" "$work/head"
events 1
cp "$work/head" "$log.head"
events 1
check "a head that is one line behind, as after a power cut, is no tampering" expect_exit 0 verify
echo garbage >"$log.head"
events 1
check "a damaged head neither" expect_exit 0 verify
rm "$log.head"
events 1
check "nor one that is gone" expect_exit 0 verify
check "while there is the log" said 'numbers 1 to 9'

rm -f "$log" "$log".* "$heads"
for n in 1 2 3; do echo "{\"time\":\"2026-01-01T00:00:0$n.000Z\",\"event\":\"Decrypt\",\"result\":\"succeeded\"}"; done >"$log"
chmod 600 "$log"
events 2
check "the file of an older version is kept" lines "$log" 5
check "and holds from where the chain begins" expect_exit 0 verify
check "which says how many lines came before" said "$log: 5 lines, numbers 1 to 2, 3 before the chain begins"

rm -f "$log" "$log".* "$heads"
for _ in $(seq 8); do events 10 & done
wait
check "eight processes at once keep the chain" expect_exit 0 verify
check "of all their events" said '^holds up to number 80, anchored'
check "and the order of the anchor" same "$(cut -d' ' -f1 "$heads" | paste -sd' ')" "$(seq 80 | paste -sd' ')"

# --- the journal ----------------------------------------------------------------------

# as it is on a host that collects others' journals
remote=/lib/systemd/systemd-journal-remote
mkdir "$work/journal"
# entries UID: the log's heads, as that user's
entries() {
	/usr/bin/python3 - "$log" "$1" <<'END'
import json, sys, time
for n, l in enumerate(open(sys.argv[1]), 1):
    e = json.loads(l)
    print("__REALTIME_TIMESTAMP=%d\n__MONOTONIC_TIMESTAMP=%d\n_BOOT_ID=%032x" % (time.time() * 1e6 + n, n, 7))
    print("_UID=%s\nSYSLOG_IDENTIFIER=kcache\nMESSAGE=x\nKCACHE_AUDIT_FILE=%s" % (sys.argv[2], sys.argv[1]))
    print("KCACHE_TIME=%s\nKCACHE_SEQ=%d\nKCACHE_CHAIN=%s\n" % (e["time"], e["seq"], e["chain"]))
END
}
entries "$(id -u)" | $remote -o "$work/journal/remote.journal" - >/dev/null 2>&1
check "the log holds against a journal" expect_exit 0 verify --anchor "$work/journal"
check "all of it" said '^holds up to number 80, anchored'
tamper sed -i "\$d"
sed "s,$bad,$log," "$bad" >"$work/cut"
check "a cut-off end is found against the journal" expect_exit 8 verify "$work/cut" --anchor "$work/journal"
rm "$work"/journal/*
entries 12345 | $remote -o "$work/journal/remote.journal" - >/dev/null 2>&1
check "entries of other users are none" expect_exit 0 verify --anchor "$work/journal"
check "and prove nothing" said "$work/journal: 0 heads"

# --- queries --------------------------------------------------------------------------

rm -f "$log" "$log".* "$heads"
cat >"$log" <<'END'
{"time":"2026-03-01T12:00:00.000Z","event":"attachVolume","result":"succeeded","volume":"11111111-1111-4111-8111-111111111111","key":"local:x","host":"h","user":"root"}
{"time":"2026-03-02T12:00:00.500Z","event":"attachVolume","result":"failed","cause":"key \u001b[2Jgone","volume":"22222222-2222-4222-8222-222222222222","host":"h","user":"root"}
END
chmod 600 "$log"
events 1
query() { kcache audit list --no-headings "$@" | awk '{ print $1 }' | cut -c1-19 | paste -sd' '; }
now=$(sed -n '3s/{"time":"\([^.]*\).*/\1/p' "$log")
check "all events are listed" same "$(query)" "2026-03-01T12:00:00 2026-03-02T12:00:00 $now"
for since in 2026-03-02T12:00:00Z 2026-03-02T12:00:00.5Z 2026-03-02T13:00:00+01:00 2026-03-02; do
	check "since $since" same "$(TZ=UTC query --since $since)" "2026-03-02T12:00:00 $now"
done
for since in 2026-03-02T12:00:00.501Z 2026-03-02T11:00:01-01:00 2h 90s 5m 1d today; do
	check "since $since" same "$(TZ=UTC query --since $since)" "$now"
done
check "a date is this place's" same "$(TZ=EAST-14 query --since 2026-03-03)" "2026-03-02T12:00:00 $now"
for when in 2026-3-1 2026-13-01 2026-02-30 2026-03-02T12:00:00 2026-03-02T25:00:00Z 2026-03-02T12:00:00Zx \
	2026-03-02t12:00:00z '2026-03-02 12:00:00Z' 0h 2x h -1h 1.5h tomorrow 2026-03-02T12:00:00. 2026-03-02T12:00:00+1:00 1900-01-01; do
	check "--since $when is refused" expect_exit 1 kcache audit --since "$when"
done
check "with what could be said" said 'is not a time; say it as 2026-11-25, '
check "of one volume" same "$(query --volume 22222222-2222-4222-8222-222222222222)" "2026-03-02T12:00:00"
uuid=$(kcache -q create "$(file vol2 20M)")
check "named by its device" same "$(kcache audit list --volume "$work/vol2" --json | jq -r '[.events[].volume] | unique | .[]')" "$uuid"
check "a device that is none is exit 4" expect_exit 4 kcache audit --volume "$work/nothing"
check "a failure is shown with its cause" expect_exit 0 kcache audit
check "but nothing that a terminal would obey" said 'failed .*h/root .*key \?\[2Jgone'
check "under headings" said '^TIME  *EVENT  *VOLUME  *KEY  *RESULT  *HOST/USER  *CAUSE'
kcache audit --json >"$work/json"
check "as JSON they are as in the file" json "$work/json" 'j["version"] == 1 and j["events"][1]["cause"] == "key \x1b[2Jgone" and j["events"][2]["seq"] == 1'
printf 'half\n' >>"$log"
check "a line that is no event is passed over" expect_exit 0 kcache audit
check "and that is said" said 'warning: 1 lines of .* are no events'
rm "$log"
check "a log that is not there is exit 4" expect_exit 4 kcache audit
sed -i "s,^audit_file.*,audit_file = none," "$conf"
check "without a file there is nothing to list" expect_exit 1 kcache audit
check "but in the journal" said 'journalctl SYSLOG_IDENTIFIER=kcache has the events'
check "nor to verify" expect_exit 1 verify
