boot_pvh.o: tests/payload/boot_pvh.c tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
