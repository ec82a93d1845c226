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
printf 'hunter2\n' >password
gives '559 entries in 3 families, 0 vectors; 0 that had expired were left out' \
  import-original "$data/original-encrypted.db" with_file.db --password-file password
SNKV_PASSWORD=hunter2 "$snkv" import-original "$data/original-encrypted.db" with_variable.db >/dev/null
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

# Encryption.
gives '559 entries in 3 families, 0 vectors; 0 that had expired were left out' \
  import-original "$data/original-encrypted.db" sealed.db --password-file password \
  --new-password-file <(echo 'new password')
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

if [[ -e /dev/full ]]; then
  code=0
  "$snkv" list plain.db >/dev/full || code=$?
  [[ $code == 1 ]]
fi
echo "tool_test: all as it should be"
