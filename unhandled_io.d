unhandled_io.o: tests/payload/unhandled_io.c tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
