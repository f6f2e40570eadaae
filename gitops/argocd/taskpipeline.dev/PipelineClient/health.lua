-- A full queue is nothing bad: only a spec that cannot be used is.
local health = {status = "Progressing", message = "not seen by the operator yet"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return health
end
for _, condition in ipairs(status.conditions or {}) do
  if condition.type == "Ready" then
    health.message = condition.message or ""
    if condition.status == "True" then
      health.status = "Healthy"
    elseif condition.reason == "ClientSuspended" then
      health.status = "Suspended"
    else
      health.status = "Degraded"
    end
  end
end
return health
