"""Sets of values that cover what the chart can be told."""

from typing import Any

from tests.install.helm import Values

DIGEST = "sha256:" + "0" * 64
TEAMS = ["team-a", "team-b"]

_PLACED: dict[str, Any] = {
    "podAnnotations": {"example.com/note": "text"},
    "podLabels": {"example.com/team": "platform"},
    "nodeSelector": {"kubernetes.io/os": "linux"},
    "tolerations": [{"key": "dedicated", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [
        {"weight": 1, "preference": {"matchExpressions": [{"key": "zone", "operator": "Exists"}]}}]}},
    "priorityClassName": "system-cluster-critical",
    "serviceAccount": {"annotations": {"example.com/role": "role"}},
    "replicas": 3,
}  # fmt: skip

SETS: dict[str, Values] = {
    "default": {},
    "namespaced": {"rbac": {"scope": "namespaced"}, "namespaces": TEAMS},
    "namespaced-with-authors": {
        "rbac": {"scope": "namespaced", "aggregate": False},
        "namespaces": TEAMS,
        "server": {"submitNamespaces": ["*"]},
        "crds": {"install": False},
        "policies": {"enabled": False},
    },
    "cluster-of-some-namespaces": {"namespaces": TEAMS, "server": {"submitNamespaces": ["team-a"]}},
    "authors-everywhere": {"server": {"submitNamespaces": ["*"]}},
    "operator-only": {"server": {"enabled": False}},
    "without-runner": {"httpRunner": {"enabled": False}},
    "one-replica-each": {name: {"replicas": 1} for name in ("operator", "server", "httpRunner")},
    "placed": {name: _PLACED for name in ("operator", "server", "httpRunner")},
    "private-registry": {
        "image": {"repository": "registry.example.com/team/task-pipeline", "digest": DIGEST, "pullPolicy": "Always"},
        "imagePullSecrets": ["pull"],
    },
    "without-network-policies": {"networkPolicy": {"enabled": False}},
    "closed-network": {
        "networkPolicy": {
            "apiServerPorts": [6443],
            "serverFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}],
            "runnerTo": [{"to": [{"ipBlock": {"cidr": "10.0.0.7/32"}}], "ports": [{"protocol": "TCP", "port": 8080}]}],
        },
        "httpRunner": {"trustedAuthorities": {"configMap": "authorities"}, "serverUrl": "https://tasks.example.com"},
    },
    "traces": {
        "operator": {"env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://collector.monitoring:4318"}]},
        "networkPolicy": {"operatorTo": [{"ports": [{"protocol": "TCP", "port": 4318}]}]},
    },
    "ingress": {
        "server": {
            "port": 80,
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "tasks.example.com",
                "tlsSecret": "tasks-tls",
                "annotations": {"example.com/a": "b"},
            },
        },
        "settings": {"http_callback_url": "https://tasks.example.com", "server_proxies": ["10.0.0.0/8"]},
    },
    "settings": {
        "settings": {
            "max_running_jobs": 50,
            "queue_size": "unlimited",
            "pod_security": "restricted",
            "ttl_seconds_after_finished": 604800,
            "http_allow": "https://*.example.com,http://payments.shop.svc:8080",
            "log_level": "DEBUG",
        }
    },
    "policies-to-begin-with": {
        "policies": {"validationActions": ["Warn", "Audit"], "namespaceSelector": {"matchLabels": {"tpl": "on"}}}
    },
    "ipv6-and-labels": {"listenAddress": "::", "commonLabels": {"example.com/cost": "42"}, "fullnameOverride": "tp"},
    "crds-go-with-the-release": {"crds": {"keep": False}},
    "no-default-client": {"defaultClient": {"create": False}},
    "limited-default-client": {"defaultClient": {"spec": {"namespaces": ["team-a"], "maxRunningJobs": 5}}},
    "default-client-with-a-limit-only": {"defaultClient": {"spec": {"maxRunningJobs": 0}}, "namespaces": TEAMS},
}
