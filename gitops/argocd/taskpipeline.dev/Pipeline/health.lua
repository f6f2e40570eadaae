-- The status follows kstatus: observedGeneration is -1 until an operator has seen the object, and Stalled is there only
-- when the run has failed, was cancelled or cannot begin.
local health = {status = "Progressing", message = "not seen by the operator yet"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
health.message = status.message or status.reason or ""
local is = {}
for _, condition in ipairs(status.conditions or {}) do
  is[condition.type] = condition.status
end
if is.Stalled == "True" then
  health.status = "Degraded"
elseif is.Suspended == "True" then
  health.status = "Suspended"
elseif is.Succeeded == "True" then
  health.status = "Healthy"
end
return health
