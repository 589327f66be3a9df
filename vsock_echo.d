vsock_echo.o: tests/payload/vsock_echo.c tests/payload/rt/vsock.h \
  tests/payload/rt/virtio.h tests/payload/rt/rt.h \
  tests/payload/rt/layout.h

tests/payload/rt/vsock.h:

tests/payload/rt/virtio.h:

tests/payload/rt/rt.h:

tests/payload/rt/layout.h:
