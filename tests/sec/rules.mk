# SPDX-License-Identifier: Apache-2.0
# For the attacks.

.PHONY: sec-tests
sec-tests:
