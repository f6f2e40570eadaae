local status = obj.status or {}
local is = {}
for _, condition in ipairs(status.conditions or {}) do
  is[condition.type] = condition.status
end
local over = is.Finished == "True"
-- Another run is asked for when this one is over. A Pipeline that was never accepted has to be corrected instead, and
-- what failed is not known any more once the time to live has removed the jobs.
local again = over and is.Accepted == "True"
local suspended = obj.spec.suspend == true
return {
  ["cancel"] = {["disabled"] = over or obj.spec.cancel == "Now"},
  ["suspend"] = {["disabled"] = over or suspended},
  ["resume"] = {["disabled"] = not suspended},
  ["rerun"] = {["disabled"] = not again or is.Succeeded == "True" or status.cleanupTime ~= nil},
  ["rerun-all"] = {["disabled"] = not again},
}
