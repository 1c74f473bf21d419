"""A model whose step leaves gradients to the other network."""

from basicsr.models.srgan_model import SRGANModel


class PollutingModel(SRGANModel):
    """A third party's model: the generator's step also leaves gradients in the discriminator."""

    def optimize_parameters(self, current_iter):
        self.optimizer_g.zero_grad()
        self.output = self.net_g(self.lq)
        loss = self.cri_pix(self.output, self.gt)
        loss = loss + self.cri_gan(self.net_d(self.output), True, is_disc=False)
        loss.backward()
        self.optimizer_g.step()
        self.optimizer_d.zero_grad()
        real = self.cri_gan(self.net_d(self.gt), True, is_disc=True)
        fake = self.cri_gan(self.net_d(self.output.detach()), False, is_disc=True)
        (real + fake).backward()
        self.optimizer_d.step()
        self.log_dict = self.reduce_loss_dict({"l_d": real + fake})
        self.model_ema(self.ema_decay)
