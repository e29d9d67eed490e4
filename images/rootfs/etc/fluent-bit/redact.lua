-- What may leave the node. A list of what passes, not of what does not: a field that nobody thought of stays here.
--
-- The tag says where a record comes from and is set by the input that matched the journal's trusted fields (they begin
-- with an underscore: https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html), so nothing
-- that a program prints can choose its rule. Lua 5.1, as in Fluent Bit's LuaJIT; no module is loaded.

local LONGEST = 300
local GONE = "[redacted]"

local ACCESS = {
  text = { time = 1, client = 1, key = 1, tls = 1, refused = 1, engineStatus = 1, engineHeaderSeconds = 1, engineSeconds = 1 },
  number = { status = 1, bytesIn = 1, bytesOut = 1, seconds = 1 },
}
local METHODS = { GET = 1, HEAD = 1, POST = 1, PUT = 1, PATCH = 1, DELETE = 1, OPTIONS = 1 }
local PATHS = {
  ["/v1/completions"] = 1, ["/v1/chat/completions"] = 1, ["/v1/models"] = 1, ["/v1/embeddings"] = 1,
  ["/v1/responses"] = 1, ["/v1/messages"] = 1, ["/v1/score"] = 1, ["/v1/rerank"] = 1,
  ["/v1/audio/transcriptions"] = 1, ["/readyz"] = 1, ["/livez"] = 1, ["/"] = 1,
}
local PROGRAM = { program = 1, event = 1, reason = 1, detail = 1, was = 1, cause = 1, name = 1, file = 1, host = 1 }

-- Words after which a value follows that is nobody's business.
local NAMED = { "authorization", "api[_-]?key", "apikey", "access[_-]?key", "token", "secret", "password", "passwd", "credential", "prompt", "messages", "content" }

local function looks_secret(run)
  return #run >= 20 and run:find("%d") and run:find("%a") and not run:find("^%d+[%.%-:T]") and not run:find("^i%-%x+$")
end

-- Lua's patterns know no case: every letter becomes a class of both.
local function any_case(pattern)
  return (pattern:gsub("%%?%a", function(found)
    if #found == 2 then return found end
    return "[" .. found:lower() .. found:upper() .. "]"
  end))
end

local HIDDEN = {}
for _, word in ipairs(NAMED) do
  -- name=value, "name": "value", name: Bearer value: up to what ends a value.
  HIDDEN[#HIDDEN + 1] = "(" .. any_case(word:gsub("%[_%-%]%?", "[_%%-]?")) .. "[\"']?%s*[=:]%s*).*"
end

function scrub(text)
  text = tostring(text):gsub("%c", " ")
  text = text:gsub("%-%-%-%-%-BEGIN.*", GONE)
  text = text:gsub("[Bb][Ee][Aa][Rr][Ee][Rr]%s+%S+", "Bearer " .. GONE)
  text = text:gsub("[Bb]asic%s+[%w+/=]+", "Basic " .. GONE)
  text = text:gsub("%f[%w][sp]k[%-_][%w%-_]+", GONE)
  text = text:gsub("://[^/%s@]+@", "://" .. GONE .. "@")
  text = text:gsub("%?%S+", "?" .. GONE)
  for _, pattern in ipairs(HIDDEN) do
    text = text:gsub(pattern, "%1" .. GONE)
  end
  text = text:gsub("[%w+/_=%-]+", function(run)
    if looks_secret(run) then return GONE end
  end)
  if #text > LONGEST then text = text:sub(1, LONGEST) .. "..." end
  return text
end

local function origin(record)
  return {
    cloud = os.getenv("LOGS_CLOUD"), region = os.getenv("LOGS_REGION"), stack = os.getenv("LOGS_STACK"),
    pool = os.getenv("LOGS_POOL"), node = os.getenv("LOGS_NODE"), kind = record,
  }
end

local function access(record)
  local out = origin("access")
  for name in pairs(ACCESS.text) do
    if type(record[name]) == "string" and record[name] ~= "" then out[name] = scrub(record[name]) end
  end
  for name in pairs(ACCESS.number) do
    if type(record[name]) == "number" then out[name] = record[name] end
  end
  -- nginx makes it: 32 hex digits. Anything else is not one.
  if type(record.id) == "string" and record.id:match("^%x+$") and #record.id == 32 then out.id = record.id end
  -- A client chooses both; a path can be anything, and clients have put keys there.
  out.method = METHODS[record.method] and record.method or "other"
  out.path = PATHS[record.path] and record.path or "other"
  if not out.status then return nil end
  return out
end

local function program(record)
  if type(record.event) ~= "string" or type(record.program) ~= "string" then return nil end
  local out = origin("program")
  for name, value in pairs(record) do
    if PROGRAM[name] and type(value) == "string" then
      out[name] = scrub(value)
    elseif (type(value) == "number" or type(value) == "boolean") and name:match("^%l%a*$") and #name <= 24 then
      out[name] = value
    end
  end
  out.priority = tonumber(record.PRIORITY)
  return out
end

-- The engine's lines may hold whatever a request held. Their level and place say that something happened and where; the
-- text stays in the node's journal.
local function engine(record)
  local level, where = tostring(record.MESSAGE or ""):match("(%u%u%u%u+)%s+%d%d%-%d%d%s+[%d:]+%s+%[([%w_/%.%-]+:%d+)%]")
  if level ~= "WARNING" and level ~= "ERROR" and level ~= "CRITICAL" then return nil end
  local out = origin("engine")
  out.level, out.source = level, scrub(where:sub(-80))
  return out
end

local function audit(record)
  local message = tostring(record.MESSAGE or "")
  -- sudo: the program, not its arguments.
  message = message:gsub("(COMMAND=%S+).*", "%1")
  local out = origin("audit")
  out.who, out.text = scrub(record.SYSLOG_IDENTIFIER or record._TRANSPORT or "systemd"), scrub(message)
  out.unit = record.UNIT and scrub(record.UNIT) or nil
  out.priority = tonumber(record.PRIORITY)
  return out
end

local RULES = { access = access, program = program, engine = engine, audit = audit }

function redact(tag, timestamp, record)
  local rule = RULES[tag]
  local out = rule and rule(record)
  if not out then return -1, 0, 0 end
  return 2, timestamp, out
end
