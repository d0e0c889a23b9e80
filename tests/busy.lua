-- For tests of the collector `scripts`: a name as a dashboard would use it, and one that needs quoting.
-- What a script calls, its user must be allowed: PING always is.
local answer = redis.call("PING")["ok"]
return {"keys:here", tostring(#answer), "odd \"name\"", "1.5"}
