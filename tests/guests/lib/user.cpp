// SPDX-License-Identifier: GPL-2.0-only
#include "tests/guests/lib/user.hpp"

#include "tests/guests/lib/verdict.hpp"

namespace guest {

extern "C" [[noreturn]] void user_enter(const UserState* state);

namespace {

constinit Page* user_l4 = nullptr;
constinit Page* data = nullptr;
constinit Page* stack = nullptr;

} // namespace

u64 user_root_mfn() { return mfn_of(user_l4); }

Page* user_data_page() { return data; }

Page* user_stack_page() { return stack; }

u64 user_address(const void* function) {
    return user_text + (std::bit_cast<u64>(function) - std::bit_cast<u64>(&user_text_start[0]));
}

void init_user() {
    data = alloc_page();
    stack = alloc_page();
    user_l4 = alloc_page();
    long result = 0;
    for (const char* page = user_text_start; page < user_text_end; page += page_size)
        result |= map(user_address(page), mfn_of(page), pte_ro);
    result |= map(user_stack, mfn_of(stack), pte_rw | pte_nx);
    result |= map(user_data, mfn_of(data), pte_rw | pte_nx);
    user_l4->word[user_text >> 39] = *entry_of(user_text, 4);
    result |= make_readonly(user_l4);
    result |= pin(4, user_l4);
    result |= mmuext(MMUEXT_NEW_USER_BASEPTR, user_root_mfn());
    if (result != 0) error("the user address space cannot be built");
}

Trap run_user(UserState state) {
    if (state.rsp == 0) state.rsp = user_stack + page_size - 16;
    return catch_trap([&state] { user_enter(&state); });
}

} // namespace guest
