// SPDX-License-Identifier: GPL-2.0-only
#pragma once

#include <memory>
#include <utility>

namespace streak {

template <class Signature> class FunctionRef;

/// A callable somebody else owns, passed by reference: no allocation, no ownership, two words.
template <class Out, class... In> class FunctionRef<Out(In...)> {
public:
    template <class Callable>
        requires(!std::is_same_v<std::remove_cvref_t<Callable>, FunctionRef> &&
                 std::is_invocable_r_v<Out, Callable&, In...>)
    FunctionRef(Callable&& callable) // NOLINT: a lambda is meant to convert
        : object_(const_cast<void*>(static_cast<const void*>(std::addressof(callable)))),
          call_([](void* object, In... in) -> Out {
              return (*static_cast<std::remove_reference_t<Callable>*>(object))(std::forward<In>(in)...);
          }) {}

    Out operator()(In... in) const { return call_(object_, std::forward<In>(in)...); }

private:
    void* object_;
    Out (*call_)(void*, In...);
};

} // namespace streak
