#!/bin/bash
# Others' programs on the card, through pcscd and the virtual reader, in mount and network namespaces of their own:
# card_judges.sh PYTHON FOLDER PIN PUK.  Ends with another status than 0 where one of them fails.
set -eu
python=$1 folder=$2 pin=$3 puk=$4
mkdir -p /run/pcscd
mount -t tmpfs none /run/pcscd
ip link set lo up
mkdir -p "$folder/readers"
cp /etc/reader.conf.d/vpcd "$folder/readers/"
pcscd -f -c "$folder/readers" >"$folder/pcscd.log" 2>&1 &
daemon=$!
trap 'kill $daemon $card 2>/dev/null || true' EXIT
for _ in $(seq 100); do [ -S /run/pcscd/pcscd.comm ] && break || sleep 0.05; done
"$python" -m tests.worlds.card_process "$folder/card" reader >"$folder/card.log" 2>&1 &
card=$!
for _ in $(seq 200); do opensc-tool -l 2>/dev/null | grep -q "Yes.*Virtual PCD" && break || sleep 0.05; done
cd "$folder"
tool() { yubico-piv-tool -r Virtual "$@" 2>&1; }

opensc-tool -n
tool -a status
for one in 9a:ECCP256 9c:ECCP384 9d:RSA2048 9e:ECCP256; do
    tool -a generate -s "${one%:*}" -A "${one#*:}" -o "${one%:*}.pub"
done
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -subj /CN=ca -days 9
openssl req -new -key ca.key -subj /CN=holder -out holder.csr
echo "keyUsage=digitalSignature,keyAgreement,keyEncipherment" >uses
for slot in 9a 9c 9d 9e; do
    openssl x509 -req -in holder.csr -CA ca.pem -CAkey ca.key -force_pubkey $slot.pub -extfile uses -days 9 -out $slot.pem
    tool -a import-certificate -s $slot -i $slot.pem
done
tool -a verify-pin -P "$pin" -a test-signature -s 9a -i 9a.pem
tool -a verify-pin -P "$pin" -a test-signature -s 9d -i 9d.pem
tool -a verify-pin -P "$pin" -a test-decipher -s 9d -i 9d.pem
tool -a verify-pin -P 000000 || true
tool -a change-pin -P "$pin" -N 222222
tool -a unblock-pin -P "$puk" -N "$pin"
tool -a status

pkcs11-tool -L
pkcs11-tool -O
pkcs11-tool --test --login --pin "$pin"
echo an order >data
for id in 01 04; do
    slot=$([ $id = 01 ] && echo 9a || echo 9e)
    pkcs11-tool --login --pin "$pin" --sign --id $id -m ECDSA-SHA256 --signature-format openssl -i data -o signature
    openssl dgst -sha256 -verify $slot.pub -signature signature data
done
pkcs11-tool --login --pin "$pin" --sign --id 03 -m SHA256-RSA-PKCS -i data -o signature
openssl dgst -sha256 -verify 9d.pub -signature signature data

# an agreement key in the place of the RSA key
tool -a generate -s 9d -A ECCP256 -o 9d.pub
openssl x509 -req -in holder.csr -CA ca.pem -CAkey ca.key -force_pubkey 9d.pub -extfile uses -days 9 -out 9d.pem
tool -a import-certificate -s 9d -i 9d.pem
openssl ecparam -name prime256v1 -genkey -noout -out mine.key
openssl pkey -in mine.key -pubout -outform DER -out mine.pub
pkcs11-tool --login --pin "$pin" --derive --id 03 -m ECDH1-DERIVE -i mine.pub -o theirs
openssl pkeyutl -derive -inkey mine.key -peerkey 9d.pub -out ours
cmp ours theirs && echo "agreed: the same secret"
pkcs15-tool --dump >dump
grep -q "PIV AUTH key" dump

# our own side of PC/SC, then PKCS#11 from Python; the card is drawn at last
module=$(find /usr/lib -name opensc-pkcs11.so | head -1)
cd - >/dev/null
"$python" -m tests.worlds.card_in_reader "$pin" "$module" $card || status=$?
echo "ended with ${status:-0}"
