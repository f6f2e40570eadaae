"""A hook of the chart: make the client `default` if there is none. One that is there stays as it is.

Standard library only; talks to the API server with the token of the pod. The CRD may have been made a moment ago and
the role may not be known everywhere yet, so what is refused is tried again until the time is over.
"""

import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
OWN, SPEC, SECONDS = os.environ["OWN_NAMESPACE"], os.environ["CLIENT_SPEC"], float(os.environ["CLIENT_SECONDS"])
PATH = f"/apis/taskpipeline.dev/v1alpha1/namespaces/{OWN}/pipelineclients"
CLIENT = {"apiVersion": "taskpipeline.dev/v1alpha1", "kind": "PipelineClient", "metadata": {"name": "default"}}
FINAL = (400, 413, 415, 422)  # a spec that is not one


def create():
    """The status and the text of the API server's answer; 0 where there is none."""
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    address = f"[{host}]" if ":" in host else host
    with open(f"{ACCOUNT}/token", encoding="utf-8") as file:
        headers = {"Authorization": f"Bearer {file.read().strip()}", "Content-Type": "application/json"}
    body = json.dumps({**CLIENT, "spec": json.loads(SPEC)}).encode()
    request = urllib.request.Request(f"https://{address}:{port}{PATH}", body, headers, method="POST")
    context = ssl.create_default_context(cafile=f"{ACCOUNT}/ca.crt")
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:  # noqa: S310 (always https)
            return answer.status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read(2000).decode(errors="replace")
    except OSError as error:
        return 0, str(error)


def main():
    """Try until the client is there; exit code 1 with the last answer when it is not in time."""
    deadline = time.monotonic() + SECONDS
    while True:
        status, text = create()
        if status in (201, 409):
            print("the client default is made" if status == 201 else "the client default is there already")
            return
        if status in FINAL or time.monotonic() > deadline:
            sys.exit(f"the client default cannot be made: {status} {text}")
        time.sleep(1)


main()
