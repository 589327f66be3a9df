evil_status.o: tests/payload/evil_status.c tests/payload/rt/virtio.h \
  tests/payload/rt/rt.h tests/payload/rt/layout.h

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
