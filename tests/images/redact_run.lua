-- Runs redact.lua outside Fluent Bit: arguments are the script and the tag, records come as Lua tables on standard input.
dofile(arg[1])
local record = assert(loadstring("return " .. io.read("*a")))()
local code, _, out = redact(arg[2], 0, record)
io.write(tostring(code), "\n")
if type(out) == "table" then
  local names = {}
  for name in pairs(out) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do io.write(name, "\t", tostring(out[name]), "\n") end
end
