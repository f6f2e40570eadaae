"""`make demo`: the product's main job on a real cluster, told step by step."""
