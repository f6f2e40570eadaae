-- A job has conditions once it is over; until then its reason says what it waits for.
local health = {status = "Progressing", message = ""}
local status = obj.status
if status == nil then
  return health
end
health.message = status.message or status.reason or ""
if status.state == "DONE" then
  health.status = "Healthy"
elseif status.state == "ERROR" or status.state == "CANCELLED" then
  health.status = "Degraded"
elseif status.reason == "Suspended" or status.reason == "ClientSuspended" then
  health.status = "Suspended"
end
return health
