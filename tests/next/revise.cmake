# -DIN=a.lua -DOUT=b.lua: another revision of a script: the same rules, another digest.
file(READ ${IN} text)
file(WRITE ${OUT} "${text}-- the next revision\n")
