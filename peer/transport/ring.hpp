// A growing circular queue: no allocation once it has reached its working size, indexed access, move-only elements
// allowed.
#pragma once

#include <bit>
#include <cstddef>
#include <utility>
#include <vector>

namespace pinhole::transport {

template <class T>
class Ring {
  public:
    [[nodiscard]] bool empty() const { return size_ == 0; }

    [[nodiscard]] std::size_t size() const { return size_; }

    [[nodiscard]] T& operator[](std::size_t index) { return slots_[slot(index)]; }

    [[nodiscard]] const T& operator[](std::size_t index) const { return slots_[slot(index)]; }

    [[nodiscard]] T& front() { return (*this)[0]; }

    [[nodiscard]] const T& front() const { return (*this)[0]; }

    [[nodiscard]] T& back() { return (*this)[size_ - 1]; }

    T& push_back(T value) {
        if (size_ == slots_.size()) {
            grow();
        }
        auto& place = slots_[slot(size_)];
        place = std::move(value);
        ++size_;
        return place;
    }

    T pop_front() {
        T value = std::exchange(slots_[head_], T{});
        head_ = slot(1);
        --size_;
        return value;
    }

    void clear() {
        while (!empty()) {
            pop_front();
        }
    }

    /// Gives back the memory that is not in use.
    void shrink() {
        if (const auto enough = empty() ? 0 : std::bit_ceil(size_); enough < slots_.size()) {
            resize(enough);
        }
    }

  private:
    // The capacity is a power of two, so that wrapping is a mask.
    [[nodiscard]] std::size_t slot(std::size_t index) const { return (head_ + index) & (slots_.size() - 1); }

    void grow() { resize(slots_.empty() ? 2 : slots_.size() * 2); }

    void resize(std::size_t capacity) {
        std::vector<T> slots(capacity);
        for (std::size_t i = 0; i < size_; ++i) {
            slots[i] = std::move((*this)[i]);
        }
        slots_ = std::move(slots);
        head_ = 0;
    }

    std::vector<T> slots_;
    std::size_t head_ = 0;
    std::size_t size_ = 0;
};

}  // namespace pinhole::transport
