"""Options of degradations that fit small images."""

DEGRADATION = {
    "resize_prob": [0.2, 0.7, 0.1],
    "resize_range": [0.3, 1.5],
    "gaussian_noise_prob": 0.5,
    "noise_range": [1, 30],
    "poisson_scale_range": [0.05, 3],
    "gray_noise_prob": 0.4,
    "jpeg_range": [30, 95],
}
KERNELS = {
    "kernel_list": ["iso", "plateau_aniso"],
    "kernel_prob": [0.7, 0.3],
    "sinc_prob": 0.1,
    "blur_sigma": [0.2, 3],
    "betag_range": [0.5, 4],
    "betap_range": [1, 2],
    "blur_kernel_size": 13,
}


def both_orders(section: dict) -> dict:
    """The keys of the first order, and those of the second."""
    return {**section, **{f"{key}2": value for key, value in section.items()}}
