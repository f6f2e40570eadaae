"""The chart, the manifests, the image and the upgrade path, checked without a cluster."""
