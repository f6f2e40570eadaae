"""Keys and certificates of a cluster, made with openssl.

Rule: keys are new with each cluster, readable by their owner only, and vouch for nothing but this
cluster's API server: loopback, the private bridge and the names by which pods call it.
"""

import os
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.paths import ClusterPaths

DAYS = "365"
_KEY = ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")

_CONFIG = """\
[req]
distinguished_name = name
prompt = no
[name]
CN = task-pipeline local cluster
[ca]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[server]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
[client]
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


def create(paths: ClusterPaths, addresses: list[str]) -> None:
    """Write certificates and keys into `paths.pki`.

    They are ca.crt, server.crt and .key of the API server, client.crt and .key with which it calls the
    kubelet, sa.key and sa.pub for tokens of service accounts. `addresses` are those of the API server.
    """
    paths.pki.mkdir(parents=True, exist_ok=True)
    paths.pki.chmod(0o700)
    names = ["localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    alternatives = [f"DNS:{name}" for name in names] + [f"IP:{address}" for address in addresses]
    config = paths.pki / "openssl.cnf"
    config.write_text(_CONFIG.format(names=", ".join(alternatives)))
    ca_key = paths.pki / "ca.key"
    before = os.umask(0o077)
    try:
        _certificate(config, "ca", ca_key, paths.ca_file, [])
        signer = ["-CA", str(paths.ca_file), "-CAkey", str(ca_key)]
        for section in ("server", "client"):
            key, certificate = paths.pki / f"{section}.key", paths.pki / f"{section}.crt"
            _certificate(config, section, key, certificate, signer)
        service_accounts = paths.pki / "sa.key"
        run(["openssl", "genpkey", *_KEY, "-out", service_accounts])
        run(["openssl", "pkey", "-in", service_accounts, "-pubout", "-out", paths.pki / "sa.pub"])
    finally:
        os.umask(before)


def _certificate(config: Path, section: str, key: Path, certificate: Path, signer: list[str]) -> None:
    new: list[str | Path] = ["openssl", "req", "-x509", "-days", DAYS, "-noenc"]
    new += ["-newkey", "ec", *_KEY[2:], "-keyout", key, "-out", certificate]
    run([*new, "-config", config, "-extensions", section, *signer])
