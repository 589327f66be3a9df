smp_start.o: tests/payload/smp_start.c tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
