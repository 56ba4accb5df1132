"""The bundled Java trusts what this Python trusts."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization.pkcs12 import load_pkcs12

from runtime.trust import trust_options


def test_the_machines_certificates_come_in_the_form_that_java_reads(tmp_path: Path) -> None:
    if ssl.get_default_verify_paths().cafile is None:
        pytest.skip("this machine has no bundle of certificates")
    options = trust_options(tmp_path)
    store = load_pkcs12((tmp_path / "trusted.p12").read_bytes(), None)
    assert options == [
        f"-Djavax.net.ssl.trustStore={tmp_path / 'trusted.p12'}",
        "-Djavax.net.ssl.trustStoreType=PKCS12",
    ]
    assert len(store.additional_certs) > 10


def test_a_machine_without_a_bundle_leaves_java_its_own_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "nothing.pem"))
    assert trust_options(tmp_path) == []
