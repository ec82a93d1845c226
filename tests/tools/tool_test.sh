#!/usr/bin/env bash
# Every command of the tool, with good and with bad arguments, in an empty folder:
#   tool_test.sh <snkv> <folder of the samples>
set -euo pipefail

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
if [[ -e /dev/full ]]; then
  code=0
  "$snkv" list plain.db >/dev/full || code=$?
  [[ $code == 1 ]]
fi
echo "tool_test: all as it should be"
