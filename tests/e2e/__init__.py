"""An installation as users make it: the image, the chart, a real node, and the rights that are there."""
