"""The budgets. One that is missed has got worse: find out why before it is raised, and write the new reason down.

Requests and bytes are those of a job that succeeds at its first attempt, on Pipelines of 4 stages with 5 jobs each.
Bytes are those of the bodies that are sent, without headers. "Now" is what was counted when the budget was set.
"""

WRITES_PER_JOB = 4.3
"""POST PipelineJob, POST workload, PATCH IN PROGRESS, PATCH end, and at most 6 writes of the status for 20 jobs."""

BYTES_PER_JOB = {"Shell": 2_680, "K8S/Job": 2_770}
"""What the operator sends. Now 2,646 for Shell: PipelineJob 790, Pod 862, its two statuses 787, the Pipeline's 205; and
2,734 for a Kubernetes Job, which is smaller than a Pod and has longer params. On
top 1 %: a new field has a price.
"""

BYTES_PER_JOB_ON_A_CLUSTER = 2_740
"""What a real API server is sent for a Shell job. Now 2,639: PipelineJob 722, Pod 969, its two statuses 790, the
Pipeline's 158 (up to 70 more when jobs take longer).
"""

BYTES_WATCHED_PER_JOB = {"Shell": 14_000, "K8S/Job": 22_300}
"""What a watcher of everything is sent by the in-memory cluster, which knows no managedFields: each event brings its
whole object. Counted with what kubelet and controllers write, since the operator decides how large their objects are.
Now 13,828 for Shell, 8,678 of them for the Pod in 5 events, and 22,036 for a Kubernetes Job.
"""

STATUS_GROWTH = 20
"""Bytes by which a status may still grow once no count is zero and the list of failed jobs is full: digits."""

STATUS_BYTES = {1: 1_480, 4: 1_810}
"""The longest status, by number of stages: of a Pipeline that has failed, with 20 names of failed jobs of 5 letters.
Now 1,456 and 1,784; one that runs has 1,083 and 1,401.
"""

WORK_GROWTH = 1.25
WORK_SLACK = 400
"""Bytecodes for an event with 10,000 waiting: at most so many times those with 10, and so many more (the logarithm)."""

BYTES_OF_RECORD = {"PipelineJob": 1_850, "Pod": 2_450, "Job": 1_900, "Pipeline": 76_000}
"""Memory for what lives, by kind; the Pipeline has 20 jobs. Now 1,759, 2,380, 1,832 and 70,038: a decoded job of a spec
takes 3.5 KB, so thousands of Pipelines that wait are the largest part of the operator's memory.
"""

METRICS_BYTECODES = 1_600
METRICS_SHARE = 0.04
"""What metrics may add to a job that succeeds at once, and as a share of what it costs without them. Now 1,420 and
3.5 %: its requests 524, and the rest 896 for about five looks at objects, an attempt, a launch and a wait in the queue.
"""
