"""Certificates for the bundled Java: it trusts what this Python trusts, a company's own authority included."""

import re
import ssl
import warnings
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import NoEncryption
from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12Certificate, serialize_java_truststore
from cryptography.utils import CryptographyDeprecationWarning


def trust_options(folder: Path) -> list[str]:
    """Return the options that make a Java trust this machine's certificates; none when the machine has no bundle.

    The wheel's Java comes with a list of its own, and behind a company's proxy that list knows nobody.

    Args:
        folder: Where the list is put in the form that Java reads. Certificates are public, so it has no password.
    """
    bundle = ssl.get_default_verify_paths().cafile
    if bundle is None:
        return []
    blocks = re.findall(
        rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", Path(bundle).read_bytes(), re.DOTALL
    )
    named = [PKCS12Certificate(found, str(n).encode()) for n, found in enumerate(filter(None, map(_read, blocks)))]
    store = folder / "trusted.p12"
    store.write_bytes(serialize_java_truststore(named, NoEncryption()))
    return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStoreType=PKCS12"]


def _read(block: bytes) -> x509.Certificate | None:
    """Read one certificate; None for one that breaks RFC 5280, as some old authorities' do."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        try:
            return x509.load_pem_x509_certificate(block)
        except (ValueError, CryptographyDeprecationWarning):
            return None
