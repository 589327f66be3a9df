irq_ioapic.o: tests/payload/irq_ioapic.c tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
