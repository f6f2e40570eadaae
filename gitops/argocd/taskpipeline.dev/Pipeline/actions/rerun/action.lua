-- The id is made from the number of the run, so that a second click asks for the same run. A cancel that still stands
-- would hold the new run back.
local run = (obj.status or {}).run or 1
obj.spec.cancel = nil
obj.spec.rerun = {["id"] = "argocd-failed-" .. (run + 1), ["scope"] = "Failed"}
return obj
