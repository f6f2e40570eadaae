"""Names of the API group: kinds, plurals, labels, annotations.

Rule: every such name is written here once and imported everywhere else.
"""

from dataclasses import dataclass

GROUP = "taskpipeline.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "taskpipeline"

PIPELINE_KIND = "Pipeline"
PIPELINEJOB_KIND = "PipelineJob"
PIPELINECLIENT_KIND = "PipelineClient"


@dataclass(frozen=True, slots=True)
class KindNames:
    """The names under which one kind of the group is known to the API server and kubectl."""

    kind: str
    plural: str
    singular: str
    short: str


PIPELINE = KindNames(PIPELINE_KIND, "pipelines", "pipeline", "tpl")
PIPELINEJOB = KindNames(PIPELINEJOB_KIND, "pipelinejobs", "pipelinejob", "pjob")
PIPELINECLIENT = KindNames(PIPELINECLIENT_KIND, "pipelineclients", "pipelineclient", "pclient")
KINDS: dict[str, KindNames] = {names.kind: names for names in (PIPELINE, PIPELINEJOB, PIPELINECLIENT)}

LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
MANAGED_BY = "task-pipeline"
LABEL_PIPELINE_UID = f"{GROUP}/pipeline-uid"
LABEL_JOB_HASH = f"{GROUP}/job-hash"
ANNOTATION_ATTEMPT = f"{GROUP}/attempt"
ANNOTATION_SUBMISSION = f"{GROUP}/submission"
ANNOTATION_ROLLED_BACK = f"{GROUP}/rolled-back"
RESERVED_PREFIX = f"{GROUP}/"

FIELD_MANAGER = "task-pipeline"
DEFAULT_CLIENT = "default"
