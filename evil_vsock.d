evil_vsock.o: tests/payload/evil_vsock.c tests/payload/rt/vsock.h \
  tests/payload/rt/virtio.h tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/vsock.h:

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
