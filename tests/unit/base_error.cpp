// SPDX-License-Identifier: GPL-2.0-only
#include <catch2/catch_test_macros.hpp>

#include "base/error.hpp"

using namespace streak;
using namespace streak::base;

TEST_CASE("error codes have a name and a text", "[base]") {
    CHECK(name_of(Errno::ESRCH) == "ESRCH");
    CHECK(name_of(Errno::EOPNOTSUPP).find("NOTSUP") != std::string::npos);
    CHECK(name_of(static_cast<Errno>(4000)) == "error 4000");
    CHECK(describe(Errno::ESRCH) == "no such domain (ESRCH)");
    CHECK(describe(Errno::EINVAL) == "invalid argument (EINVAL)");
    CHECK(describe(static_cast<Errno>(4000)) == "unknown error (error 4000)");
    CHECK(system_error(static_cast<int>(Errno::ESRCH)) == "no such process (ESRCH)");
    CHECK(system_error(static_cast<int>(Errno::ENOENT)) == "no such file or directory (ENOENT)");
}

TEST_CASE("the kind of an error follows from its code", "[base]") {
    const auto kind = [](Errno code) { return hypercall_error("x", code).error().kind; };
    CHECK(kind(Errno::ESRCH) == ErrorKind::not_found);
    CHECK(kind(Errno::EPERM) == ErrorKind::refused);
    CHECK(kind(Errno::EACCES) == ErrorKind::refused);
    CHECK(kind(Errno::ENOMEM) == ErrorKind::resources);
    CHECK(kind(Errno::ENOSPC) == ErrorKind::resources);
    CHECK(kind(Errno::EBUSY) == ErrorKind::conflict);
    CHECK(kind(Errno::ENOSYS) == ErrorKind::unavailable);
    CHECK(kind(Errno::ETIMEDOUT) == ErrorKind::timeout);
    CHECK(kind(Errno::EINVAL) == ErrorKind::invalid);
    CHECK(kind(Errno::EFAULT) == ErrorKind::internal);
    CHECK(errno_error("x", static_cast<int>(Errno::ENOENT)).error().kind == ErrorKind::not_found);
}

TEST_CASE("an error as text leaves out what is empty", "[base]") {
    CHECK(hypercall_error("can't pause domain 7", Errno::ESRCH).error().text() ==
          "can't pause domain 7; found no such domain (ESRCH)");
    CHECK(Error{ErrorKind::invalid, "bad kernel", "an ELF file", "text", "Give another one."}.text() ==
          "bad kernel; expected an ELF file; found text. Give another one.");
    CHECK(Error{ErrorKind::invalid, "bad kernel"}.text() == "bad kernel");
}
