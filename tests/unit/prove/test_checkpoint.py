import base64
import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from greenops.adapters.keys import verify
from greenops.prove.checkpoint import (
    Checkpoint,
    Notary,
    PublicKey,
    named,
    open_note,
    parse_checkpoint,
    parse_key,
    sign_note,
)

VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
SIGNATURE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqd"
    "ngotpRZb6KE6RyyBwJnAM=\n"
)
"""Known answer of the reference implementation, golang.org/x/mod/sumdb/note, note_test.go."""
EXAMPLE = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
"""The example of the C2SP tlog-checkpoint specification."""
PAIR = Ed25519PrivateKey.from_private_bytes(SEED)
OURS = named(PAIR.public_key().public_bytes_raw())
ROOT = hashlib.sha256(b"root").digest()


def test_signing_gives_the_reference_implementations_note_byte_for_byte():
    assert sign_note(TEXT, parse_key(VKEY), PAIR.sign) == TEXT + "\n" + SIGNATURE


def test_the_reference_note_opens():
    assert open_note(TEXT + "\n" + SIGNATURE, parse_key(VKEY), verify) == TEXT


def test_a_key_is_written_as_it_was_read():
    assert str(parse_key(VKEY)) == VKEY


def test_the_example_of_the_specification_is_read_and_written():
    checkpoint = parse_checkpoint(EXAMPLE)

    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert checkpoint.text() == EXAMPLE


def test_extension_lines_are_passed_over():
    assert parse_checkpoint(EXAMPLE + "more\n") == parse_checkpoint(EXAMPLE)


def test_other_keys_signatures_are_passed_over():
    other = Ed25519PrivateKey.from_private_bytes(bytes(32))
    theirs = sign_note(TEXT, named(other.public_key().public_bytes_raw()), other.sign)

    both = theirs + SIGNATURE

    assert open_note(both, parse_key(VKEY), verify) == TEXT
    with pytest.raises(ValueError, match="no signature of"):
        open_note(theirs, parse_key(VKEY), verify)


def test_one_wrong_signature_of_the_key_refuses_the_note():
    wrong = SIGNATURE.replace("JnAM=", "JnAQ=")

    with pytest.raises(ValueError, match="wrong signature"):
        open_note(TEXT + "\n" + SIGNATURE + wrong, parse_key(VKEY), verify)


@pytest.mark.parametrize("cut", range(len(VKEY)))
def test_a_key_with_one_letter_changed_is_refused(cut):
    other = "B" if VKEY[cut] == "A" else "A"

    with pytest.raises(ValueError):  # noqa: PT011
        parse_key(VKEY[:cut] + other + VKEY[cut + 1 :])


def test_a_note_with_any_one_byte_changed_is_refused():
    notary = Notary(OURS, verify, PAIR.sign)
    note = notary.seal(7, ROOT).encode()
    assert notary.open(note.decode()) == (7, ROOT)

    for at in range(len(note)):
        for flip in (1, 32, 128):
            changed = note[:at] + bytes([note[at] ^ flip]) + note[at + 1 :]
            with pytest.raises(ValueError):  # noqa: PT011
                notary.open(changed.decode(errors="replace"))


@pytest.mark.parametrize(
    "note",
    [
        "",
        "text\n",
        "text\n\n",
        "text\n\n— name\n",
        "text\n\n- PeterNeumann x08go/ZJ\n",
        "te\tt\n\n" + SIGNATURE,
        TEXT + "\n" + SIGNATURE.rstrip("\n"),
        TEXT + "\n" + SIGNATURE * 101,
    ],
)
def test_what_is_no_note_is_refused(note):
    with pytest.raises(ValueError):  # noqa: PT011
        open_note(note, parse_key(VKEY), verify)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a\n1\n",
        "a\n01\n" + base64.b64encode(ROOT).decode() + "\n",
        "a\n-1\n" + base64.b64encode(ROOT).decode() + "\n",
        "a\n²\n" + base64.b64encode(ROOT).decode() + "\n",
        "a\n1\nQUJD\n",
        "a\n1\n!!!\n",
        "\n1\n" + base64.b64encode(ROOT).decode() + "\n",
        "a\n1\n" + base64.b64encode(ROOT).decode(),
    ],
)
def test_what_is_no_checkpoint_is_refused(text):
    with pytest.raises(ValueError):  # noqa: PT011
        parse_checkpoint(text)


def test_a_checkpoint_of_another_log_is_refused():
    text = Checkpoint("another.example/log", 7, ROOT).text()

    with pytest.raises(ValueError, match="of the log `another"):
        Notary(OURS, verify).open(sign_note(text, OURS, PAIR.sign))


def test_a_public_key_alone_does_not_sign():
    with pytest.raises(ValueError, match="no private key"):
        Notary(OURS, verify).seal(0, ROOT)


def test_two_keys_never_share_a_name():
    assert named(bytes(32)).name != OURS.name
    assert PublicKey("a", OURS.raw).id != PublicKey("b", OURS.raw).id
