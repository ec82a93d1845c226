#!/usr/bin/env bash
# Every command of the tool, with good and with bad arguments, in an empty folder:
#   tool_test.sh <snkv> <folder of the samples>
set -euo pipefail

# Without a terminal, which would be asked for passwords.
if [[ -z ${SNKV_TOOL_TEST:-} ]]; then SNKV_TOOL_TEST=1 exec setsid -w bash "$0" "$@"; fi

snkv=$1 data=$2

# gives <expected output> <argument>...
gives() {
  local output
  output=$("$snkv" "${@:2}")
  if [[ $output != "$1" ]]; then
    printf 'snkv %s says:\n%s\nand not:\n%s\n' "${*:2}" "$output" "$1" >&2
    exit 1
  fi
}
# fails <exit code> <part of the message> <argument>...
fails() {
  local output code=0
  output=$("$snkv" "${@:3}" 2>&1 >/dev/null) || code=$?
  if [[ $code != "$1" || $output != *"$2"* ]]; then
    printf 'snkv %s gives %s and says:\n%s\n' "${*:3}" "$code" "$output" >&2
    exit 1
  fi
}

# asked <answers, one a line> <exit code> <part of what is said> <argument>...: at a terminal of its own.
asked() {
  local said='' c code answer
  coproc TERMINAL { exec script -qfec "$(printf '%q ' "$snkv" "${@:4}")" /dev/null 2>&1; }
  local pid=$TERMINAL_PID in=${TERMINAL[1]} out=${TERMINAL[0]}
  exec {answers}<<<"$1"
  # An answer for each question.
  while IFS= read -r -N 1 -t 60 -u "$out" c; do
    said+=$c
    if [[ $said == *'password: ' || $said == *'once more: ' ]] && read -r -u "$answers" answer; then
      printf '%s\n' "$answer" >&"$in"
    fi
  done
  exec {answers}<&-
  code=0
  wait "$pid" || code=$?
  if [[ $code != "$2" || $said != *"$3"* ]]; then
    printf 'snkv %s at a terminal gives %s and says:\n%s\n' "${*:4}" "$code" "$said" >&2
    exit 1
  fi
  while read -r answer; do
    if [[ -n $answer && $said == *"$answer"* ]]; then
      printf 'snkv %s shows the password:\n%s\n' "${*:4}" "$said" >&2
      exit 1
    fi
  done <<<"$1"
}

gives '559 entries in 3 families, 0 vectors; 0 that had expired were left out' \
  import-original "$data/original-plain.db" plain.db
gives '559 entries in 3 families, 0 vectors; 0 that had expired were left out' \
  import-original "$data/original-plain.db" skipping.db --refused skip
gives '' repair-vectors skipping.db
printf 'hunter2\n' >password
gives '559 entries in 3 families, 0 vectors; 0 that had expired were left out' \
  import-original "$data/original-encrypted.db" with_file.db --password-file password --plain
SNKV_PASSWORD=hunter2 SNKV_NEW_PASSWORD=unused \
  "$snkv" import-original "$data/original-encrypted.db" with_variable.db --plain >/dev/null
for store in plain with_file with_variable; do
  gives 'value of user 7' get $store.db user:0007
  gives 'token' get $store.db s49 --family sessions
  gives $'default\nsessions\n\xc3\xa9t\xc3\xa9 empty' families $store.db
  gives $'user:0010\tvalue of user 10\nuser:0011\tvalue of user 11' \
    list $store.db --prefix user:001 --limit 2
  gives $'\\x00bin\xff\t\\x00\\x01\\x02\xff' list $store.db --limit 1
  gives '559 entries in 3 families, all in order' verify $store.db
done
[[ $("$snkv" info plain.db) == *'family         sessions: 55 entries, 50 of them with an expiry'* ]]
[[ $("$snkv" help) == usage:* ]]

fails 2 'usage:'
fails 2 'usage:' no-such-command
fails 2 '1 values are needed' info
fails 2 'there is no option --famly' list plain.db --famly x
fails 2 'needs a value' list plain.db --prefix
fails 2 'needs a number' list plain.db --limit many
fails 2 'cannot read a password' import-original "$data/original-plain.db" x.db --password-file none
fails 2 '--refused is stop or skip' import-original "$data/original-plain.db" x.db --refused maybe
fails 1 'not found' get plain.db no-such-key
fails 1 'not found' get plain.db key --family none
fails 1 'cannot open' info none.db
fails 1 'not a store' info password
fails 1 'wrong or missing password' import-original "$data/original-encrypted.db" x.db
fails 1 'wrong or missing password' \
  import-original "$data/original-encrypted.db" x.db --password-file "$data/../original_samples.hpp"
fails 1 'exists already' import-original "$data/original-plain.db" plain.db
fails 1 'not a store' import-original password x.db
[[ ! -e x.db ]]

# An index file of hnswlib: 20 vectors of 3 dimensions.
if [[ $("$snkv" import-hnswlib 2>&1 || true) != *usage:* ]]; then  # a build with vectors
  gives '20 vectors in collection points' \
    import-hnswlib "$data/hnswlib-3d.index" index.db --collection points --metric l2 --dtype i8
  fails 1 'exists' import-hnswlib "$data/hnswlib-3d.index" index.db --collection points
  gives '20 vectors in collection vectors' import-hnswlib "$data/hnswlib-3d.index" index.db
  fails 1 'is no index of hnswlib' import-hnswlib password x.db
  fails 1 'No such file' import-hnswlib none x.db
  fails 2 '--metric is' import-hnswlib "$data/hnswlib-3d.index" x.db --metric hamming
  fails 2 '--dtype is' import-hnswlib "$data/hnswlib-3d.index" x.db --dtype u1
  [[ ! -e x.db ]]
fi

# Encryption.
gives '559 entries in 3 families, 0 vectors; 0 that had expired were left out' \
  import-original "$data/original-encrypted.db" sealed.db --password-file password \
  --new-password-file <(echo 'new password')
# What was encrypted stays so, unless that is not wished; nobody is asked in vain.
fails 2 'is encrypted: a password is needed: --new-password-file, or $SNKV_NEW_PASSWORD; or --plain' \
  import-original "$data/original-encrypted.db" x.db --password-file password
fails 2 'a new password, and --plain' import-original "$data/original-encrypted.db" x.db \
  --password-file password --new-password-file password --plain
[[ ! -e x.db ]]
SNKV_PASSWORD=hunter2 SNKV_NEW_PASSWORD=next \
  "$snkv" import-original "$data/original-encrypted.db" next.db >/dev/null
SNKV_PASSWORD=next gives 'value of user 7' get next.db user:0007
if grep -q 'value of user' next.db; then exit 1; fi
SNKV_NEW_PASSWORD=next "$snkv" import-original "$data/original-plain.db" also_next.db >/dev/null
if grep -q 'value of user' also_next.db; then exit 1; fi
cp "$data/original-plain.db" private-plain.db
chmod 600 private-plain.db
"$snkv" import-original private-plain.db private.db >/dev/null
[[ $(stat -c %a private.db) == 600 ]]
asked $'one\none' 0 'once more' import-original "$data/original-encrypted.db" asked.db --password-file password
SNKV_PASSWORD=one gives 'value of user 7' get asked.db user:0007

fails 2 'a password is needed' get sealed.db user:0007 </dev/null
fails 1 'wrong or missing password' get sealed.db user:0007 --password-file password
gives 'value of user 7' get sealed.db user:0007 --password-file <(echo 'new password')
gives 'value of user 7' get sealed.db user:0007 --password-file - <<<'new password'
export SNKV_PASSWORD='new password'
gives '559 entries in 3 families, all in order' verify sealed.db

# A backup takes the place of a store, or of none.
cp plain.db backup.db
gives '' restore backup.db restored.db
gives '' restore backup.db restored.db
gives '559 entries in 3 families, all in order' verify restored.db
fails 1 'there is no such file' restore none.db restored.db
fails 1 'is not a store' restore backup.db password
fails 2 'see snkv help' restore backup.db
rm backup.db restored.db
gives $'default\nsessions\n\xc3\xa9t\xc3\xa9 empty' families sealed.db
gives $'user:0010\tvalue of user 10' list sealed.db --prefix user:001 --limit 1
[[ $("$snkv" info sealed.db) == *'family         sessions: 55 entries'* ]]
gives 'value of user 7' get plain.db user:0007  # where none is needed
gives '' rotate-key sealed.db
gives '' change-password sealed.db --new-password-file <(echo 'newer password')
fails 1 'wrong or missing password' get sealed.db user:0007
fails 1 'wrong or missing password' rotate-key sealed.db
fails 1 'wrong or missing password' change-password sealed.db --new-password-file password
export SNKV_PASSWORD='newer password'
gives 'value of user 7' get sealed.db user:0007
fails 2 'is encrypted already' encrypt sealed.db
fails 2 'is not encrypted' decrypt plain.db
fails 1 'cannot open' encrypt none.db
fails 2 'no option --password' get sealed.db user:0007 --password 'newer password'
gives '' decrypt sealed.db
unset SNKV_PASSWORD
gives 'value of user 7' get sealed.db user:0007
SNKV_NEW_PASSWORD=another gives '' encrypt sealed.db
fails 2 'a password is needed' get sealed.db user:0007
grep -q 'value of user' plain.db
if grep -q 'value of user' sealed.db; then exit 1; fi
# It never asks where nothing is to be asked, and never shows what is typed.
asked 'another' 0 'value of user 7' get sealed.db user:0007
asked 'wrong-one' 1 'wrong or missing password' get sealed.db user:0007
asked $'\x03' 2 'no password was typed' get sealed.db user:0007
asked $'another\nthird-one\nthird-one' 0 'once more' change-password sealed.db
asked $'third-one\nfourth-one\nfifth-one' 2 'another password than the first time' change-password sealed.db
gives 'value of user 7' get sealed.db user:0007 --password-file - <<<'third-one'

# Signals. It has to be one that comes while it is at work, which the password gives it some time for.
# stopped <signal> <what is left> <store> <argument>...: with a copy of original.db as the store.
stopped() {
  local said code pause signal=$1 left=$2 store=$3
  for pause in 0.0{2..9..1} 0.{1..4}{0,5} {1..9}; do
    cp original.db "$store"
    code=0
    set -m  # or it would ignore SIGINT
    "$snkv" "${@:4}" 2>said & local pid=$!
    set +m
    sleep "$pause"
    kill -s "$signal" $pid 2>/dev/null || true
    wait $pid || code=$?
    said=$(<said)
    # Too early is before it looks at signals, too late when it is done.
    [[ $said == *stopped* ]] && break
  done
  if [[ $code != $((128 + $(kill -l "$signal"))) || $said != *"$left"* ]]; then
    printf 'snkv %s, stopped by %s, gives %s and says:\n%s\n' "${*:4}" "$signal" "$code" "$said" >&2
    exit 1
  fi
  if compgen -G "*.unfinished-*" >/dev/null; then ls -a >&2; exit 1; fi
}
cp plain.db original.db
SNKV_NEW_PASSWORD=some stopped TERM 'stop.db is as it was, and nothing is left' stop.db encrypt stop.db
gives 'value of user 7' get stop.db user:0007
SNKV_NEW_PASSWORD=some stopped INT 'stop.db is as it was' stop.db encrypt stop.db
SNKV_NEW_PASSWORD=some stopped HUP 'stop.db is as it was' stop.db encrypt stop.db
SNKV_NEW_PASSWORD=some "$snkv" encrypt stop.db
cp stop.db original.db
SNKV_PASSWORD=some stopped TERM 'stop.db is as it was' stop.db decrypt stop.db
SNKV_PASSWORD=some stopped TERM 'call rotate-key again' stop.db rotate-key stop.db
SNKV_PASSWORD=some gives '559 entries in 3 families, all in order' verify stop.db

# A terminal that was made silent can be heard again.
coproc TERMINAL { exec script -qfec "sh -c 'echo pid \$\$ end; exec $(printf %q "$snkv") get stop.db user:0007'; stty -a" /dev/null 2>&1; }
said='' terminal=$TERMINAL_PID
exec {out}<&"${TERMINAL[0]}"  # the other one goes away with the process
while IFS= read -r -N 1 -t 60 -u "$out" c; do
  said+=$c
  if [[ $said == *'password: ' ]]; then
    pid=${said##*pid }
    kill -s TERM "${pid%% end*}"
  fi
done
wait "$terminal" || true
if [[ $said != *'stopped by signal 15: no password was typed'* || $said != *' echo '* ]]; then
  printf 'stopped at a terminal it says:\n%s\n' "$said" >&2
  exit 1
fi

# A file of KohakuVault: a dictionary, and a column of two numbers.
sqlite3 vault.db "CREATE TABLE kv(key BLOB PRIMARY KEY, value BLOB);
  INSERT INTO kv VALUES(CAST('a' AS BLOB), x'894b010600000000564b74657874');
  CREATE TABLE col_meta(col_id INTEGER PRIMARY KEY, name TEXT, dtype TEXT, elem_size INTEGER, length INTEGER,
    chunk_bytes INTEGER, max_chunk_bytes INTEGER);
  INSERT INTO col_meta VALUES(1, 'n', 'i64', 8, 2, 4096, 4096);
  CREATE TABLE col_chunks(col_id INTEGER, chunk_idx INTEGER, data BLOB);
  INSERT INTO col_chunks VALUES(1, 0, zeroblob(4096));
  CREATE TABLE others(a)"
gives '1 entries, 1 columns with 2 elements
left out       others' import-kohakuvault vault.db vault-store.db
gives $'n\ti64\t2\t16' columns vault-store.db
gives text get vault-store.db a --family kv
fails 1 'exists' import-kohakuvault vault.db vault-store.db
fails 1 'cannot open' import-kohakuvault missing.db no-store.db
[[ ! -e no-store.db ]]
fails 2 '' import-kohakuvault vault.db

if [[ -e /dev/full ]]; then
  code=0
  "$snkv" list plain.db >/dev/full || code=$?
  [[ $code == 1 ]]
fi
echo "tool_test: all as it should be"
