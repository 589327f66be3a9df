print.o: tests/payload/rt/print.c tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
