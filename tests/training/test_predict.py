import jax
import numpy as np
import toys

from kgml_jax.training.predict import predict_sites


def test_weights_of_one_device_predict_on_all():
    sites = toys.sites(count=3, years=1)
    model = toys.ToyModel()
    weights = model.init(jax.random.key(0))
    alone = jax.device_put(weights, jax.local_devices()[0])
    assert len(jax.local_devices()) == 2
    expected = predict_sites(model, weights, sites)
    found = predict_sites(model, alone, sites)
    for name, values in expected.items():
        assert values.shape == (3, 365)
        np.testing.assert_array_equal(found[name], values)
