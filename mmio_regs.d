mmio_regs.o: tests/payload/mmio_regs.c tests/payload/rt/virtio.h \
  tests/payload/rt/rt.h tests/payload/rt/layout.h

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
