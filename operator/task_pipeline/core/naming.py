"""Names of everything that the operator creates: deterministic, valid, and free of collisions.

A name is derived from UIDs, so the same step repeated after a crash asks for the same name and is answered
"already exists". Readable parts are cut; a hash of at least 80 bits keeps names apart.
"""

import hashlib
import re
from functools import lru_cache

JOB_NAME_LENGTH = 52  # leaves room for what others append: a Kubernetes Job's pods, a ConfigMap's suffix
_HASH_LENGTH = 16  # 16 characters of base32 = 80 bits
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


def digest(*parts: str, length: int = _HASH_LENGTH) -> str:
    """`length` characters of base32 (5 bits each) of the SHA-256 over `parts`, unambiguous in their limits."""
    text = "\x00".join(f"{len(part)}:{part}" for part in parts)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
    return "".join(_ALPHABET[(number >> (5 * place)) & 31] for place in range(length))


def clean(text: str, length: int) -> str:
    """`text` as part of a DNS label: lower case, other characters become `-`, at most `length`. May be empty."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].strip("-")


@lru_cache(maxsize=16_384)  # asked for whenever a job's place in the order is made, and when the job is
def job_hash(pipeline_uid: str, run: int, job: str) -> str:
    """The identity of one job of one run: label value and last part of the PipelineJob's name."""
    return digest(pipeline_uid, str(run), job)


def job_object_name(pipeline: str, job: str, identity: str) -> str:
    """metadata.name of a PipelineJob: `<pipeline>-<job>-<hash>`, a DNS label of at most 52 characters."""
    room = JOB_NAME_LENGTH - len(identity) - 2
    job_part = clean(job, room // 2)
    pipeline_part = clean(pipeline, room - len(job_part))
    readable = "-".join(part for part in (pipeline_part, job_part) if part)
    if not readable[:1].isalpha():
        readable = f"j{readable}"[: room + 1].strip("-")
    return f"{readable}-{identity}"


def workload_name(job_object: str, job_uid: str, attempt: int) -> str:
    """The name of what attempt `attempt` launches: at most 63 characters, a DNS label."""
    return f"{job_object}-{digest(job_uid, str(attempt), length=10)}"
